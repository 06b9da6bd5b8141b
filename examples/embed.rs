//! The actor system without HTTP: create a stream, append, read, follow it live, close it.
//!
//! ```sh
//! cargo run -p streamkeeper-examples --example embed
//! ```
//!
//! Nothing is configured, so the streams are kept in memory and are gone at the end.

#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::time::Duration;

use streamkeeper::{AppendRequest, CreateRequest, ReadFrom, StreamName, Streamkeeper};

/// The most bytes of messages in one page, unless one message alone is larger.
const PAGE_BYTES: u64 = 64 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keeper = Streamkeeper::builder().start().await?;
    let name = StreamName::new("chat/1")?;
    let created = keeper.create(&name, CreateRequest::text()).await?;
    println!("created {name}, fresh: {}", created.fresh);

    let appended = keeper.append(&name, AppendRequest::text("hello")).await?;
    println!("appended; the next offset is {}", appended.next_offset);

    let page = keeper.read(&name, ReadFrom::Start, PAGE_BYTES).await?;
    println!("read {:?}, up to date: {}", page.payloads(), page.up_to_date);

    // A subscription begins with what is there and then waits. It ends after the closing.
    let mut subscription = keeper.subscribe(&name, ReadFrom::Start, PAGE_BYTES).await?;
    let follower = tokio::spawn(async move {
        while let Some(page) = subscription.next().await? {
            println!("follower: {:?}, closed: {}", page.payloads(), page.closed);
        }
        Ok::<_, streamkeeper::ReadError>(())
    });

    keeper.append(&name, AppendRequest::text(", world")).await?;
    // The last message and the closing are one step: no reader sees the one without the other.
    keeper.append(&name, AppendRequest::text("!").and_close()).await?;
    follower.await??;

    let refused = keeper.append(&name, AppendRequest::text("more")).await;
    println!("after the closing: {}", refused.err().ok_or("a closed stream took more")?);

    let report = keeper.shutdown(Duration::from_secs(5)).await;
    println!("stopped, everything by itself: {}", report.is_clean());
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().expect("it runs");
    }
}
