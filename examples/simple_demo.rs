//! A tour: create, append, read, JSON, long-poll, close, fork, TTL, producers, listing, shutdown.
//!
//! ```sh
//! cargo run -p streamkeeper-examples --example simple_demo
//! ```

#![expect(clippy::print_stdout, reason = "an example tells what it does")]

use std::error::Error;
use std::time::Duration;

use streamkeeper::protocol::{Producer, ProducerId};
use streamkeeper::{
    AppendRequest, CreateRequest, Message, ReadError, ReadFrom, StreamName, Streamkeeper, Ttl,
};

/// The most bytes of messages in one page, unless one message alone is larger.
const PAGE_BYTES: u64 = 64 << 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keeper = Streamkeeper::builder().start().await?;
    text(&keeper).await?;
    json(&keeper).await?;
    long_poll(&keeper).await?;
    closing(&keeper).await?;
    fork(&keeper).await?;
    producer(&keeper).await?;
    ttl(&keeper).await?;
    list(&keeper).await?;

    let report = keeper.shutdown(Duration::from_secs(5)).await;
    println!("shutdown: {} streams stopped by themselves", report.drained);
    assert!(report.is_clean());
    Ok(())
}

async fn text(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let name = StreamName::new("demo/text")?;
    let created = keeper.create(&name, CreateRequest::text()).await?;
    keeper.append(&name, AppendRequest::text("hello, ")).await?;
    let appended = keeper.append(&name, AppendRequest::text("world")).await?;
    println!("text: fresh: {}, up to {}", created.fresh, appended.next_offset);

    let page = keeper.read_messages(&name, ReadFrom::Start, PAGE_BYTES).await?;
    println!("text: {:?}, up to date: {}", texts(&page.messages), page.up_to_date);
    assert_eq!(texts(&page.messages), ["hello, ", "world"]);

    let second = ReadFrom::At(page.messages[0].offset);
    let page = keeper.read_messages(&name, second, PAGE_BYTES).await?;
    println!("text: behind the first message comes {:?}", texts(&page.messages));
    assert_eq!(texts(&page.messages), ["world"]);
    Ok(())
}

async fn json(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let name = StreamName::new("demo/orders")?;
    keeper.create(&name, CreateRequest::json()).await?;
    keeper.append(&name, AppendRequest::json(r#"{"id": 1}"#)).await?;
    // Each element of an array is a message of its own.
    keeper.append(&name, AppendRequest::json(r#"[{"id": 2}, {"id": 3}]"#)).await?;
    let page = keeper.read_messages(&name, ReadFrom::Start, PAGE_BYTES).await?;
    println!("json: {:?}", texts(&page.messages));
    assert_eq!(page.messages.len(), 3);
    let refused = keeper.append(&name, AppendRequest::json("{")).await;
    println!("json: refused: {}", refused.err().ok_or("that is no JSON")?);
    Ok(())
}

async fn long_poll(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let name = StreamName::new("demo/live")?;
    keeper.create(&name, CreateRequest::text()).await?;
    let reader = {
        let (keeper, name) = (keeper.clone(), name.clone());
        let patience = Duration::from_secs(30);
        let from = keeper.metadata(&name).await?.next_offset;
        tokio::spawn(async move {
            keeper.read_live(&name, ReadFrom::At(from), PAGE_BYTES, patience).await
        })
    };
    keeper.append(&name, AppendRequest::text("news")).await?;
    let page = reader.await??;
    println!("long-poll: woken by {:?}", page.payloads());
    assert_eq!(page.payloads(), ["news"]);
    Ok(())
}

async fn closing(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let name = StreamName::new("demo/closed")?;
    keeper.create(&name, CreateRequest::text().body("all there is")).await?;
    println!("close: closed: {}", keeper.close(&name).await?.closed);
    let refused = keeper.append(&name, AppendRequest::text("more")).await;
    println!("close: refused: {}", refused.err().ok_or("a closed stream took more")?);
    assert!(keeper.read(&name, ReadFrom::Start, PAGE_BYTES).await?.closed);
    Ok(())
}

async fn fork(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let (source, name) = (StreamName::new("demo/orders")?, StreamName::new("demo/what-if")?);
    let first = keeper.read_messages(&source, ReadFrom::Start, 1).await?;
    let request = CreateRequest::fork_at(source, first.next_offset);
    keeper.create(&name, request).await?;
    keeper.append(&name, AppendRequest::json(r#"{"id": "another"}"#)).await?;
    let page = keeper.read_messages(&name, ReadFrom::Start, PAGE_BYTES).await?;
    println!("fork: {:?}", texts(&page.messages));
    assert_eq!(texts(&page.messages), [r#"{"id":1}"#, r#"{"id":"another"}"#]);
    Ok(())
}

async fn producer(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let name = StreamName::new("demo/orders")?;
    let id = ProducerId::parse(b"till-1")?;
    let request = AppendRequest::json("4").producer(Producer { id, epoch: 0, seq: 0 });
    // As after a lost answer: the same again.
    for _ in 0..2 {
        let appended = keeper.append(&name, request.clone()).await?;
        println!("producer: {:?} up to {}", appended.outcome, appended.next_offset);
    }
    let page = keeper.read_messages(&name, ReadFrom::Start, PAGE_BYTES).await?;
    assert_eq!(page.messages.len(), 4);
    Ok(())
}

async fn ttl(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let name = StreamName::new("demo/brief")?;
    keeper.create(&name, CreateRequest::text().body("soon gone").ttl(Ttl::new(1)?)).await?;
    println!("ttl: there: {}", keeper.metadata(&name).await.is_ok());
    // Looking at the metadata does not prolong its life, so a second is enough.
    while keeper.metadata(&name).await != Err(ReadError::NotFound) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("ttl: gone");
    Ok(())
}

async fn list(keeper: &Streamkeeper) -> Result<(), Box<dyn Error>> {
    let mut after = None;
    loop {
        let page = keeper.list("demo/", after.as_ref(), 2).await?;
        println!("list: {:?}", page.names);
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(Message::text).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_tour_ends_well() {
        super::main().expect("the tour ends well");
    }
}
