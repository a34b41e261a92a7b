//! How urgent the engine's thread is: less than the host's, which has audio to deliver.

/// Below normal, for the calling thread. What the system refuses is left as it was.
#[cfg(all(target_os = "linux", not(miri)))]
pub fn lower() {
    /// Steps of niceness; 0 is normal, 19 the least urgent.
    const NICE: libc::c_int = 5;
    // SAFETY: plain system calls without pointers. On Linux niceness belongs to a thread, and 0 means the
    // calling one.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Below normal, where that is known to be possible (Miri knows no such call).
#[cfg(any(not(target_os = "linux"), miri))]
pub fn lower() {}
