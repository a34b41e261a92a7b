//! Work waits here for a thread. Bounded; callers take turns, however much each of them asks for.

use std::collections::VecDeque;
use std::mem::take;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::caller::Lane;
use super::life::Life;

/// How often it is looked whether work that waits was called off.
const LOOK: Duration = Duration::from_millis(20);

/// Something to be done.
pub type Work = Box<dyn FnOnce() + Send>;

/// The queue and its threads.
pub struct Queue {
    hall: Arc<Hall>,
    threads: usize,
    room: usize,
}

/// Work that waits, and its life.
struct Item {
    life: Arc<Life>,
    work: Work,
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
    /// For threads: there is work, or there will be none.
    called: Condvar,
    /// The same for the thread that looks after those who wait.
    came: Condvar,
}

/// Who waits. The first lane is next; a lane that was served goes to the end.
#[derive(Default)]
struct Lanes {
    lanes: VecDeque<(Lane, VecDeque<Item>)>,
    waiting: usize,
    running: usize,
    /// Work that was called off while it waited, and is told so.
    ending: usize,
    closed: bool,
}

impl Lanes {
    fn push(&mut self, lane: Lane, item: Item) {
        self.waiting += 1;
        match self.lanes.iter_mut().find(|(one, _)| *one == lane) {
            Some((_, queue)) => queue.push_back(item),
            None => self.lanes.push_back((lane, VecDeque::from([item]))),
        }
    }

    fn pop(&mut self) -> Option<Work> {
        let (lane, mut queue) = self.lanes.pop_front()?;
        let item = queue.pop_front();
        if !queue.is_empty() {
            self.lanes.push_back((lane, queue));
        }
        self.waiting -= usize::from(item.is_some());
        item.map(|item| item.work)
    }

    /// How many wait that were not called off.
    fn alive(&self) -> usize {
        self.lanes.iter().flat_map(|(_, queue)| queue).filter(|item| !item.life.is_off()).count()
    }

    /// Takes out what was called off.
    fn called_off(&mut self) -> Vec<Work> {
        if self.alive() == self.waiting {
            return Vec::new();
        }
        let mut off = Vec::new();
        for (_, queue) in &mut self.lanes {
            for item in take(queue) {
                if item.life.is_off() {
                    off.push(item.work);
                } else {
                    queue.push_back(item);
                }
            }
        }
        self.lanes.retain(|(_, queue)| !queue.is_empty());
        self.waiting -= off.len();
        off
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

    /// Work that was called off while it waited; waits for it; `None` when there will be none.
    fn called_off(&self) -> Option<Vec<Work>> {
        let mut lanes = self.lanes();
        loop {
            let off = lanes.called_off();
            if !off.is_empty() {
                lanes.ending += off.len();
                return Some(off);
            }
            lanes = match (lanes.waiting, lanes.closed) {
                (0, true) => return None,
                (0, false) => self.came.wait(lanes).unwrap_or_else(PoisonError::into_inner),
                _ => self.came.wait_timeout(lanes, LOOK).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// Does work. What it owes to its caller is told by the channel that it drops.
fn done(work: Work) {
    let _ = catch_unwind(AssertUnwindSafe(work));
}

impl Queue {
    /// With so many threads, and room for so much work that waits though none of them is free. What is called off
    /// while it waits is done by a thread of its own, so that it hears of that at once.
    pub fn new(name: &str, threads: usize, room: usize) -> std::io::Result<Self> {
        let (hall, threads) = (Arc::new(Hall::default()), threads.max(1));
        let thread = || std::thread::Builder::new().name(format!("continuo-{name}"));
        for _ in 0..threads {
            let hall = Arc::clone(&hall);
            thread().spawn(move || {
                while let Some(work) = hall.next() {
                    done(work);
                    hall.lanes().running -= 1;
                }
            })?;
        }
        let own = Arc::clone(&hall);
        thread().spawn(move || {
            while let Some(all) = own.called_off() {
                for work in all {
                    done(work);
                    own.lanes().ending -= 1;
                }
            }
        })?;
        Ok(Self { hall, threads, room })
    }

    /// Puts work at the end of its lane, for as long as its life lasts.
    pub fn push(&self, lane: Lane, life: Arc<Life>, work: Work) -> Result<(), Full> {
        let mut lanes = self.hall.lanes();
        let room = self.room + self.threads.saturating_sub(lanes.running);
        if lanes.closed || lanes.waiting >= room && lanes.alive() >= room {
            return Err(Full { waiting: lanes.alive() });
        }
        lanes.push(lane, Item { life, work });
        self.hall.called.notify_one();
        self.hall.came.notify_one();
        Ok(())
    }

    /// How much waits, and how much is under way.
    pub fn depth(&self) -> (usize, usize) {
        let lanes = self.hall.lanes();
        (lanes.waiting, lanes.running + lanes.ending)
    }

    /// Takes nothing more; what waits is still done.
    pub fn close(&self) {
        self.hall.lanes().closed = true;
        self.hall.called.notify_all();
        self.hall.came.notify_all();
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

    fn push(queue: &Queue, port: u16, work: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        queue.push(lane(port), Life::new(Duration::MAX), Box::new(work))
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
        push(&queue, 0, first).unwrap();
        begun.recv().unwrap();
        (queue, go)
    }

    #[test]
    fn callers_take_turns() {
        let (queue, go) = held(100);
        let (said, heard) = mpsc::channel();
        for (port, name) in [(1, "a1"), (1, "a2"), (1, "a3"), (2, "b1"), (3, "c1"), (2, "b2")] {
            let said = said.clone();
            push(&queue, port, move || said.send(name).unwrap()).unwrap();
        }
        drop((go, said));
        assert_eq!(heard.iter().collect::<Vec<_>>(), ["a1", "b1", "c1", "a2", "b2", "a3"]);
    }

    #[test]
    fn there_is_no_room_beyond_its_size() {
        let (queue, go) = held(2);
        assert!(push(&queue, 1, || ()).is_ok());
        assert!(push(&queue, 1, || ()).is_ok());
        assert_eq!(push(&queue, 2, || ()), Err(Full { waiting: 2 }));
        assert_eq!(queue.depth(), (2, 1));
        drop(go);
        queue.close();
        assert!(push(&queue, 3, || ()).is_err());
    }

    #[test]
    fn a_free_thread_is_room_too() {
        let queue = Queue::new("test", 1, 0).unwrap();
        let (said, heard) = mpsc::channel();
        for number in 0..3_u8 {
            // Its thread says that it is free a little after the work is over.
            let work = |said: mpsc::Sender<u8>| move || said.send(number).unwrap();
            while push(&queue, 1, work(said.clone())).is_err() {
                std::thread::yield_now();
            }
            assert_eq!(heard.recv(), Ok(number));
        }
        let (queue, _go) = held(0);
        assert_eq!(push(&queue, 1, || ()), Err(Full { waiting: 0 }));
    }

    #[test]
    fn what_is_called_off_hears_of_it_and_takes_no_room() {
        let (queue, _go) = held(1);
        let (said, heard) = mpsc::channel();
        let life = Life::new(Duration::MAX);
        let own = Arc::clone(&life);
        let work = move || said.send(own.is_off()).unwrap();
        queue.push(lane(1), Arc::clone(&life), Box::new(work)).unwrap();
        assert_eq!(push(&queue, 2, || ()), Err(Full { waiting: 1 }));
        life.cancel();
        assert!(push(&queue, 2, || ()).is_ok());
        // The one thread is still held.
        assert_eq!(heard.recv(), Ok(true));
    }

    #[test]
    fn work_that_panics_costs_no_thread() {
        let (queue, go) = held(9);
        push(&queue, 1, || panic!("a defect")).unwrap();
        let (said, heard) = mpsc::channel();
        push(&queue, 1, move || said.send(1).unwrap()).unwrap();
        drop(go);
        assert_eq!(heard.recv(), Ok(1));
    }
}
