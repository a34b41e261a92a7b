//! The store on a real S3 service (SeaweedFS), which checks signatures.

mod serving;

use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use continuo_tests::require;
use serde_json::json;
use serving::{Serving, phrase};

/// A service of S3, which ends with this.
struct S3 {
    child: Child,
    folder: PathBuf,
    endpoint: String,
}

fn weed() -> PathBuf {
    require::python().with_file_name("weed")
}

impl S3 {
    fn start(test: &str) -> Option<Self> {
        let remedy = "cargo xtask doctor --install s3";
        require::have(test, "s3", weed().exists(), remedy).then_some(())?;
        let folder = std::env::temp_dir().join(format!("continuo-s3-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("disk")).unwrap();
        let config = json!({ "identities": [{
            "name": "continuo", "credentials": [{ "accessKey": "key", "secretKey": "secret" }],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"]
        }]});
        std::fs::write(folder.join("s3.json"), config.to_string()).unwrap();
        // Held until all are known, so that no two are the same.
        let held: Vec<TcpListener> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<String> =
            held.iter().map(|one| one.local_addr().unwrap().port().to_string()).collect();
        drop(held);
        let mut command = Command::new(weed());
        command.args([
            "server",
            "-filer",
            "-s3",
            "-ip",
            "127.0.0.1",
            "-ip.bind",
            "127.0.0.1",
            "-volume.max",
            "20",
        ]);
        for (name, port) in ["master", "volume", "filer", "s3"].into_iter().zip(ports.chunks(2)) {
            command.args([
                format!("-{name}.port"),
                port[0].clone(),
                format!("-{name}.port.grpc"),
                port[1].clone(),
            ]);
        }
        command.arg("-dir").arg(folder.join("disk")).arg("-s3.config").arg(folder.join("s3.json"));
        let child = command.current_dir(&folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let s3 = Self { child, folder, endpoint: format!("http://127.0.0.1:{}", ports[6]) };
        s3.bucket(
            &format!("127.0.0.1:{}.{}", ports[0], ports[1]),
            &format!("127.0.0.1:{}.{}", ports[4], ports[5]),
        );
        Some(s3)
    }

    /// Makes the bucket, as soon as the service is up.
    fn bucket(&self, master: &str, filer: &str) {
        for _ in 0..240 {
            let mut shell = Command::new(weed())
                .args(["shell", "-master", master, "-filer", filer])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            shell
                .stdin
                .take()
                .unwrap()
                .write_all(b"s3.bucket.create -name continuo\ns3.bucket.list\nexit\n")
                .unwrap();
            let said = shell.wait_with_output().unwrap();
            if String::from_utf8_lossy(&said.stdout)
                .lines()
                .any(|line| line.trim_start().starts_with("continuo"))
            {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(250));
        }
        panic!("no bucket could be made");
    }

    fn serve(&self, test: &str, home: &Path, secret: &str) -> Option<Serving> {
        let variables = [
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ALLOW_HTTP", "true"),
        ];
        let mut service =
            Serving::with_home(test, home.into(), &["--store", "s3://continuo/music"], &variables)?;
        service.keep_home();
        Some(service)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn files_are_kept_by_a_real_s3_service() {
    let Some(s3) = S3::start("s3") else { return };
    let home = s3.folder.join("home");
    let Some(mut service) = s3.serve("s3", &home, "secret") else { return };
    let file = phrase("demo.mid");
    let post = |service: &Serving| {
        serving::read(serving::agent().post(format!("{}/cas", service.url)).send(&file[..]))
    };
    let first = post(&service);
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(post(&service).status, 200);
    let hash = first.body["hash"].as_str().unwrap().to_owned();
    let body =
        json!({ "task": "continue", "input_hash": hash, "length_seconds": 3, "prime_seconds": 3, "seed": 1 });
    let made = service.predict(&body);
    // Killed and started anew, it has what it had: the ledger is here, the files are there.
    service.kill();
    let Some(service) = s3.serve("s3", &home, "secret") else { return };
    for name in [&hash, made["output_hash"].as_str().unwrap()] {
        let whole = serving::read(serving::agent().get(format!("{}/cas/{name}", service.url)).call());
        assert!(whole.status == 200 && whole.bytes.starts_with(b"MThd"));
        let part = serving::agent().get(format!("{}/cas/{name}", service.url)).header("range", "bytes=4-7");
        let part = serving::read(part.call());
        assert_eq!((part.status, &part.bytes[..]), (206, &whole.bytes[4..8]));
    }
    let id = made["variations"][0]["artifact_id"].as_str().unwrap();
    assert_eq!(service.get(&format!("/artifacts/{id}")).body["content_hash"], made["output_hash"]);
    assert!(!home.join("data/continuo/service/files").exists());
    drop(service);
    // With a wrong secret nothing is stored, and that is told.
    let Some(stranger) = s3.serve("s3", &home, "guess") else { return };
    post(&stranger).is_problem(507, "generation_failed");
    stranger.post("/predict", &body).is_problem(507, "generation_failed");
}
