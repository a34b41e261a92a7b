//! A real Chromium without a window, told what to do over its debugging pipe.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use continuo_tests::require;
use serde_json::{Value, json};

/// A browser with one page.
pub struct Browser {
    child: Child,
    write: File,
    read: BufReader<File>,
    session: String,
    next: u64,
    home: PathBuf,
    /// What went wrong on the page.
    pub wrong: Vec<String>,
}

fn pipe() -> (OwnedFd, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for both ends, which are this process's own once they are made.
    let (read, write) = unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
        (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    };
    (read, write)
}

impl Browser {
    /// Opens a page; `None`, said out loud, where there is no Chromium.
    pub fn open(test: &str, url: &str) -> Option<Self> {
        let name =
            ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| require::program(name));
        require::have(test, "chromium", name.is_some(), "cargo xtask doctor --install chromium");
        let home = std::env::temp_dir().join(format!("continuo-browser-{}-{test}", std::process::id()));
        let ((theirs, ours), (own, their)) = (pipe(), pipe());
        let mut command = Command::new(name?);
        command
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
            ])
            .args([
                "--autoplay-policy=no-user-gesture-required",
                "--remote-debugging-pipe",
                "--disable-extensions",
            ])
            .arg(format!("--user-data-dir={}", home.display()))
            .env("HOME", &home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let (read, write) = (theirs.as_raw_fd(), their.as_raw_fd());
        // SAFETY: only calls that may stand between fork and exec. What is at 3 and 4 is moved away first.
        unsafe {
            command.pre_exec(move || {
                let (read, write) =
                    (libc::fcntl(read, libc::F_DUPFD, 10), libc::fcntl(write, libc::F_DUPFD, 10));
                if libc::dup2(read, 3) < 0 || libc::dup2(write, 4) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        drop((theirs, their));
        let (write, read) = (File::from(ours), BufReader::new(File::from(own)));
        let mut browser =
            Self { child, write, read, session: String::new(), next: 0, home, wrong: Vec::new() };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser.call("Page.navigate", json!({ "url": url }));
        browser.until("document.body?.dataset.ready === 'yes'");
        Some(browser)
    }

    /// Asks for something, and gives the answer.
    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.write.write_all(message.to_string().as_bytes()).unwrap();
        self.write.write_all(&[0]).unwrap();
        loop {
            let mut bytes = Vec::new();
            self.read.read_until(0, &mut bytes).unwrap();
            assert!(bytes.pop() == Some(0), "the browser ended");
            let heard: Value = serde_json::from_slice(&bytes).unwrap();
            match heard["method"].as_str() {
                Some("Runtime.exceptionThrown") => self.wrong.push(heard["params"].to_string()),
                Some("Log.entryAdded") if heard["params"]["entry"]["level"] == "error" => {
                    self.wrong.push(heard["params"]["entry"].to_string());
                }
                _ => {}
            }
            if heard["id"] == self.next {
                assert!(heard.get("error").is_none(), "{method}: {heard}");
                return heard["result"].clone();
            }
        }
    }

    /// What a line of the page's own language gives; a promise is waited for.
    pub fn tell(&mut self, line: &str) -> Value {
        let ask =
            json!({ "expression": line, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let done = self.call("Runtime.evaluate", ask);
        assert!(done.get("exceptionDetails").is_none(), "{line}: {done}");
        done["result"]["value"].clone()
    }

    /// Waits until a line is true, a minute at most; the page looks now and then.
    pub fn until(&mut self, line: &str) {
        let wait = format!(
            "new Promise(done => {{ let looks = 3000;
             const end = how => {{ clearInterval(timer); done(how); }};
             const look = () => {{ if ({line}) end(true); else if (--looks < 0) end(false); }};
             const timer = setInterval(look, 20); look(); }})"
        );
        assert_eq!(self.tell(&wait), true, "{line}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
