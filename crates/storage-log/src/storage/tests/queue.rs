//! When the commit thread is called.

use super::*;

/// A queue, and what it hands to whoever takes from it in a thread of its own.
fn queue() -> (Arc<Queue>, JoinHandle<usize>) {
    let queue = Arc::new(Queue::default());
    let taker = Taker(queue.clone());
    let taken = thread::spawn(move || {
        let mut requests = VecDeque::new();
        assert!(taker.take(&mut requests));
        requests.len()
    });
    (queue, taken)
}

/// A request, and whoever waits for it.
fn request() -> (Request, oneshot::Receiver<()>) {
    let (barrier, passed) = oneshot::channel();
    (Request::Barrier(barrier), passed)
}

#[tokio::test]
async fn tasks_that_are_ready_share_a_batch() {
    let (queue, taken) = queue();
    for _ in 0..10 {
        let queue = queue.clone();
        tokio::spawn(async move { assert!(queue.push(request().0)) });
    }
    let taken = tokio::task::spawn_blocking(|| taken.join().unwrap());
    assert_eq!(taken.await.unwrap(), 10);
}

/// Time stands still here until nothing but a timer is waited for.
#[tokio::test(start_paused = true)]
async fn a_lone_request_waits_for_no_timer() {
    let (queue, taken) = queue();
    let (request, passed) = request();
    let begun = tokio::time::Instant::now();
    assert!(queue.push(request));
    // Whoever takes it drops it.
    assert!(passed.await.is_err());
    assert_eq!(begun.elapsed(), std::time::Duration::ZERO);
    assert_eq!(taken.join().unwrap(), 1);
}

#[test]
fn without_a_runtime_the_thread_is_called_at_once() {
    let (queue, taken) = queue();
    assert!(queue.push(request().0));
    assert_eq!(taken.join().unwrap(), 1);
}

#[test]
fn a_runtime_that_ends_calls_the_thread() {
    let (queue, taken) = queue();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { assert!(queue.push(request().0)) });
    drop(runtime);
    assert_eq!(taken.join().unwrap(), 1);
}

#[test]
fn a_closed_queue_is_emptied_first() {
    let (queue, mut requests) = (Arc::new(Queue::default()), VecDeque::new());
    assert!(queue.push(request().0));
    queue.close();
    assert!(!queue.push(request().0));
    let taker = Taker(queue);
    assert!(taker.take(&mut requests));
    requests.clear();
    assert!(!taker.take(&mut requests));
}

#[test]
fn what_nobody_takes_any_more_is_given_up() {
    let queue = Arc::new(Queue::default());
    let (pushed, mut passed) = request();
    assert!(queue.push(pushed));
    drop(Taker(queue.clone()));
    assert_eq!(passed.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    assert!(!queue.push(request().0));
}
