//! Which processor a thread is on, and how it gets out of another's way.

/// The processor that the calling thread runs on; `None` where the system does not say.
#[cfg(all(target_os = "linux", not(miri)))]
pub fn here() -> Option<usize> {
    // SAFETY: a plain call without pointers.
    usize::try_from(unsafe { libc::sched_getcpu() }).ok()
}

/// The calling thread runs on all processors but this one from now on, if there are others. What the system refuses
/// is left as it was.
#[cfg(all(target_os = "linux", not(miri)))]
pub fn avoid(processor: usize) {
    // SAFETY: the sets are plain numbers, of the size that is said; 0 means the calling thread and the process's id is
    // that of its first thread.
    unsafe {
        let size = size_of::<libc::cpu_set_t>();
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        // What the whole process may use.
        let known = libc::sched_getaffinity(libc::getpid(), size, &mut allowed) == 0;
        if known && processor < 8 * size && libc::CPU_COUNT(&allowed) > 1 {
            libc::CPU_CLR(processor, &mut allowed);
            libc::sched_setaffinity(0, size, &allowed);
        }
    }
}

/// The processor that the calling thread runs on; `None` where the system does not say.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub fn here() -> Option<usize> {
    None
}

/// Nothing, where threads cannot be told.
#[cfg(not(all(target_os = "linux", not(miri))))]
pub fn avoid(_processor: usize) {}
