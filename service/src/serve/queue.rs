//! Work waits here for a thread. Bounded; callers take turns, however much each of them asks for.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::caller::Lane;

/// Something to be done.
pub type Work = Box<dyn FnOnce() + Send>;

/// The queue and its threads.
pub struct Queue {
    hall: Arc<Hall>,
    room: usize,
}

/// The queue has no room.
#[derive(Debug, PartialEq, Eq)]
pub struct Full {
    /// How many wait.
    pub waiting: usize,
}

#[derive(Default)]
struct Hall {
    lanes: Mutex<Lanes>,
    called: Condvar,
}

/// Who waits. The first lane is next; a lane that was served goes to the end.
#[derive(Default)]
struct Lanes {
    lanes: VecDeque<(Lane, VecDeque<Work>)>,
    waiting: usize,
    running: usize,
    closed: bool,
}

impl Lanes {
    fn push(&mut self, lane: Lane, work: Work) {
        self.waiting += 1;
        match self.lanes.iter_mut().find(|(one, _)| *one == lane) {
            Some((_, queue)) => queue.push_back(work),
            None => self.lanes.push_back((lane, VecDeque::from([work]))),
        }
    }

    fn pop(&mut self) -> Option<Work> {
        let (lane, mut queue) = self.lanes.pop_front()?;
        let work = queue.pop_front();
        if !queue.is_empty() {
            self.lanes.push_back((lane, queue));
        }
        self.waiting -= usize::from(work.is_some());
        work
    }
}

impl Hall {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next work; waits for it; `None` when there will be none.
    fn next(&self) -> Option<Work> {
        let mut lanes = self.lanes();
        loop {
            if let Some(work) = lanes.pop() {
                lanes.running += 1;
                return Some(work);
            }
            if lanes.closed {
                return None;
            }
            lanes = self.called.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Queue {
    /// With so many threads, and room for so much work that waits.
    pub fn new(name: &str, threads: usize, room: usize) -> std::io::Result<Self> {
        let hall = Arc::new(Hall::default());
        for _ in 0..threads.max(1) {
            let hall = Arc::clone(&hall);
            std::thread::Builder::new().name(format!("continuo-{name}")).spawn(move || {
                while let Some(work) = hall.next() {
                    // What it owes to its caller is told by the channel that it drops.
                    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                    hall.lanes().running -= 1;
                }
            })?;
        }
        Ok(Self { hall, room })
    }

    /// Puts work at the end of its lane.
    pub fn push(&self, lane: Lane, work: Work) -> Result<(), Full> {
        let mut lanes = self.hall.lanes();
        if lanes.waiting >= self.room || lanes.closed {
            return Err(Full { waiting: lanes.waiting });
        }
        lanes.push(lane, work);
        self.hall.called.notify_one();
        Ok(())
    }

    /// How much waits, and how much is under way.
    pub fn depth(&self) -> (usize, usize) {
        let lanes = self.hall.lanes();
        (lanes.waiting, lanes.running)
    }

    /// Takes nothing more; what waits is still done.
    pub fn close(&self) {
        self.hall.lanes().closed = true;
        self.hall.called.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::sync::mpsc;

    use super::*;

    fn lane(port: u16) -> Lane {
        (IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    }

    /// A queue whose one thread waits for the word that is returned.
    fn held(room: usize) -> (Queue, mpsc::Sender<()>) {
        let queue = Queue::new("test", 1, room).unwrap();
        let (go, wait) = mpsc::channel::<()>();
        let (began, begun) = mpsc::channel();
        let first = move || {
            began.send(()).unwrap();
            let _ = wait.recv();
        };
        queue.push(lane(0), Box::new(first)).unwrap();
        begun.recv().unwrap();
        (queue, go)
    }

    #[test]
    fn callers_take_turns() {
        let (queue, go) = held(100);
        let (said, heard) = mpsc::channel();
        for (port, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
            let said = said.clone();
            queue.push(lane(port), Box::new(move || said.send(name).unwrap())).unwrap();
        }
        drop((go, said));
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn there_is_no_room_beyond_its_size() {
        let (queue, go) = held(2);
        assert!(queue.push(lane(1), Box::new(|| ())).is_ok());
        assert!(queue.push(lane(1), Box::new(|| ())).is_ok());
        assert_eq!(queue.push(lane(2), Box::new(|| ())), Err(Full { waiting: 2 }));
        assert_eq!(queue.depth(), (2, 1));
        drop(go);
        queue.close();
        assert!(queue.push(lane(3), Box::new(|| ())).is_err());
    }

    #[test]
    fn work_that_panics_costs_no_thread() {
        let (queue, go) = held(9);
        queue.push(lane(1), Box::new(|| panic!("a defect"))).unwrap();
        let (said, heard) = mpsc::channel();
        queue.push(lane(1), Box::new(move || said.send(1).unwrap())).unwrap();
        drop(go);
        assert_eq!(heard.recv(), Ok(1));
    }
}
