//! Redis and PostgreSQL for tests.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tokio_postgres::{Client, NoTls};

/// How long a server may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running database. Its end is the test's.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    _directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn redis(more: &[&str]) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--dir"]);
        command.arg(directory.path()).args(more);
        Self::start(command, "redis-server", directory, port)
    }

    pub(crate) fn postgres() -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let programs = postgres_programs();
        let data = directory.path().join("data");
        let command = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command.current_dir(directory.path());
            // PostgreSQL refuses to run as root.
            if rustix::process::geteuid().is_root() {
                let [user, group] = ids_of_postgres();
                std::os::unix::fs::chown(directory.path(), Some(user), Some(group)).unwrap();
                command.uid(user).gid(group);
            }
            command
        };
        let mut make = command("initdb");
        make.arg("-D").arg(&data).args(["-A", "trust", "-U", "tests", "--no-sync"]);
        let made = make.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut command = command("postgres");
        command.arg("-D").arg(&data).arg("-k").arg(directory.path()).args(["-p", &port.to_string()]);
        command.args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]);
        Self::start(command, "postgresql", directory, port)
    }

    fn start(mut command: Command, package: &str, directory: tempfile::TempDir, port: u16) -> Self {
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("cannot start {command:?} ({error}): install it with `apt-get install {package}`")
        });
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "{package} did not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port, _directory: directory }
    }

    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    pub(crate) async fn client(&self) -> Arc<Client> {
        let place = format!("host=127.0.0.1 port={} user=tests dbname=postgres", self.port);
        let began = Instant::now();
        loop {
            match tokio_postgres::connect(&place, NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return Arc::new(client);
                }
                // It answers before it takes connections.
                Err(error) => assert!(began.elapsed() < PATIENCE, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn kill(&mut self) {
        // Fails if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns the folder of PostgreSQL's programs: Debian keeps them out of the path.
fn postgres_programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    let newest = programs.filter(|programs| programs.join("initdb").exists()).max();
    newest.expect("PostgreSQL is not installed: sudo apt-get install -y postgresql")
}

fn ids_of_postgres() -> [u32; 2] {
    ["-u", "-g"].map(|option| {
        let id = Command::new("id").args([option, "postgres"]).output().unwrap();
        String::from_utf8(id.stdout).unwrap().trim().parse().unwrap()
    })
}
