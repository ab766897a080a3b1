//! The platform of `docker/compose.yaml` under a project name of its own, with secrets and ports of its own. Whatever
//! happens to the test, it takes its containers, networks and volumes away; images stay, as they are the cache.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Command as Blocking, Stdio},
};

use probe_protocol::ProbeId;
use rand::RngExt as _;
use tempfile::TempDir;
use tests::{Api, Trust, process::on_path};
use tokio::{io::AsyncWriteExt as _, process::Command};

/// The image of the probe.
const PROBE_IMAGE: &str = "pladmed-probe";
/// How the probe reaches nginx, whose own certificate has this name too.
const HUB: &str = "https://nginx:8443";
/// Limits of the probe.
const LIMITS: [&str; 2] = ["UPLOAD_RATE=2Mbps", "OPERATIONS_RATE=62Kbps"];
/// What its log says of them.
pub(super) const LIMITED: &str = "limits: 2000 kbit/s to TCP port 8443, 62 kbit/s for all else";
/// Rights of the probe, as in `docker/compose.probe.yaml`.
const RIGHTS: [&str; 6] = [
    "NET_ADMIN",
    "NET_RAW",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Lines of logs that are shown when a test fails.
const TAIL: &str = "60";
/// Files that a container may have open: few, for engines that may not give more.
const OPEN_FILES: &str = "16384";
/// How a hub's log tells of a session.
const CONNECTED: &str = "probe connected";

/// The platform. Gone when dropped.
pub(super) struct Stack {
    project: String,
    https: u16,
    ntp: u16,
    subnet: String,
    trust: Option<Trust>,
    // With .env_server and .env_database.
    folder: TempDir,
}

fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

impl Stack {
    /// What is missing to run it, if anything is.
    pub(super) fn missing() -> Option<String> {
        if on_path("docker").is_none() {
            return Some("docker is missing".to_owned());
        }
        let lacks = |arguments: &[&str], why: &str| {
            let mut command = Blocking::new("docker");
            command
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let works = command.status().is_ok_and(|status| status.success());
            (!works).then(|| why.to_owned())
        };
        lacks(&["compose", "version"], "docker has no compose v2")
            .or_else(|| lacks(&["version"], "no Docker engine answers"))
    }

    fn new() -> Self {
        let mut random = rand::rng();
        let port = |bound: std::io::Result<SocketAddr>| bound.expect("a free port").port();
        let any = (Ipv4Addr::UNSPECIFIED, 0);
        Self {
            project: format!("pladmed-test-{}", std::process::id()),
            https: port(TcpListener::bind(any).and_then(|one| one.local_addr())),
            ntp: port(UdpSocket::bind(any).and_then(|one| one.local_addr())),
            // Somewhere where no other network of Docker is, most likely.
            subnet: format!(
                "10.{}.{}.0/24",
                random.random_range(100..250),
                random.random_range(0..250)
            ),
            trust: None,
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    /// Two hubs and all that belongs to them, healthy.
    pub(super) async fn up() -> Self {
        let mut stack = Self::new();
        stack.start().await;
        let pem = stack
            .compose(&["exec", "-T", "nginx", "cat", "/own/certificate.pem"])
            .await;
        stack.trust = Some(Trust::in_certificate(&pem));
        stack
    }

    /// `make start`.
    pub(super) async fn start(&self) {
        let [said, _] = self.run(self.script("docker/start"), None).await;
        assert!(said.contains("the platform is up: 2 hubs"), "{said}");
        assert!(said.contains(&self.url()), "{said}");
    }

    /// `make stop`.
    pub(super) async fn stop(&self) {
        self.compose(&["stop"]).await;
    }

    fn variables(&self) -> [(&'static str, String); 7] {
        [
            ("COMPOSE_PROJECT_NAME", self.project.clone()),
            ("ENV_DIR", self.folder.path().display().to_string()),
            ("HTTPS_PORT", self.https.to_string()),
            ("NTP_PORT", self.ntp.to_string()),
            ("HUB_SUBNET", self.subnet.clone()),
            ("HUBS", "2".to_owned()),
            ("OPEN_FILES", OPEN_FILES.to_owned()),
        ]
    }

    fn script(&self, path: &str) -> Command {
        let mut command = Command::new(project_file(path));
        command.envs(self.variables());
        command
    }

    /// What a command writes, to standard output and to standard error; it must go well.
    async fn run(&self, mut command: Command, input: Option<&str>) -> [String; 2] {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("its input");
        if let Some(input) = input {
            stdin.write_all(input.as_bytes()).await.expect("it reads");
        }
        drop(stdin);
        let output = child.wait_with_output().await.expect("its output");
        let [said, complained] = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(
            output.status.success(),
            "{command:?} failed: {said}\n{complained}"
        );
        [said, complained]
    }

    async fn compose(&self, arguments: &[&str]) -> String {
        let mut command = self.script("docker/compose");
        command.args(arguments);
        let [said, _] = self.run(command, None).await;
        said
    }

    async fn docker(&self, arguments: &[&str]) -> [String; 2] {
        let mut command = Command::new("docker");
        command.args(arguments);
        self.run(command, None).await
    }

    /// Makes a superuser, in a hub's container.
    pub(super) async fn superuser(&self, email: &str, password: &str) {
        let mut command = self.script("docker/compose");
        command.args(["exec", "-T", "hub", "pladmed", "superuser", "create"]);
        command.args([email, "--password-stdin"]);
        self.run(command, Some(&format!("{password}\n"))).await;
    }

    /// Where nginx is.
    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.https)
    }

    /// Where chrony is.
    pub(super) fn ntp(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ntp))
    }

    /// Trust in nginx.
    pub(super) fn trust(&self) -> &Trust {
        self.trust.as_ref().expect("it was read at the start")
    }

    /// Speaks to nginx as nobody in particular.
    pub(super) fn api(&self) -> Api {
        Api::trusting(&self.url(), self.trust())
    }

    /// Builds the probe's image and runs it with limits, in the network of nginx.
    pub(super) async fn run_probe(&self, token: &str) {
        let file = project_file("docker/probe.Dockerfile")
            .display()
            .to_string();
        let context = project_file(".").display().to_string();
        // As docker/start does it.
        if std::env::var("IMAGES").is_ok_and(|images| images == "given") {
            println!("the images are given, not built");
        } else {
            let mut build = Command::new("docker");
            build.env("DOCKER_BUILDKIT", "1");
            build.args(["build", "--tag", PROBE_IMAGE, "--file", &file, &context]);
            self.run(build, None).await;
        }
        let certificate = self.folder.path().join("certificate.pem");
        let pem = self
            .compose(&["exec", "-T", "nginx", "cat", "/own/certificate.pem"])
            .await;
        fs::write(&certificate, pem).expect("a file");
        let certificate = format!("{}:/certificate.pem:ro", certificate.display());
        let network = format!("{}_front", self.project);
        let mut run = Command::new("docker");
        run.env("PLADMED_TOKEN", token);
        run.args([
            "run",
            "--detach",
            "--name",
            &self.probe(),
            "--network",
            &network,
        ]);
        run.args([
            "--read-only",
            "--tmpfs",
            "/data:uid=10001",
            "--cap-drop",
            "ALL",
        ]);
        for right in RIGHTS {
            run.args(["--cap-add", right]);
        }
        for limit in LIMITS {
            run.args(["--env", limit]);
        }
        run.args([
            "--security-opt",
            "no-new-privileges:true",
            "--env",
            "PLADMED_TOKEN",
        ]);
        run.args([
            "--env",
            &format!("PLADMED_HUB={HUB}"),
            "--volume",
            &certificate,
        ]);
        run.args(["--env", "SSL_CERT_FILE=/certificate.pem", PROBE_IMAGE]);
        self.run(run, None).await;
    }

    fn probe(&self) -> String {
        format!("{}-agent", self.project)
    }

    /// The containers of a service, also those that do not run.
    async fn containers(&self, service: &str) -> Vec<String> {
        let said = self.compose(&["ps", "--all", "--quiet", service]).await;
        said.lines().map(str::to_owned).collect()
    }

    /// The hubs on which a probe sat, oldest first, by what they logged.
    pub(super) async fn seats(&self, probe: ProbeId) -> Vec<String> {
        let probe = format!("probe.id={probe}");
        let mut seats = Vec::new();
        for hub in self.containers("hub").await {
            let [log, _] = self.docker(&["logs", "--timestamps", &hub]).await;
            let lines = log
                .lines()
                .filter(|line| line.contains(CONNECTED) && line.contains(&probe));
            seats.extend(lines.map(|line| {
                (
                    line.split(' ').next().unwrap_or_default().to_owned(),
                    hub.clone(),
                )
            }));
        }
        seats.sort();
        seats.into_iter().map(|(_, hub)| hub).collect()
    }

    /// kill -9 to a container.
    pub(super) async fn kill(&self, container: &str) {
        self.docker(&["kill", container]).await;
    }

    /// What can be reached from outside, as the service and its port.
    pub(super) async fn published(&self) -> BTreeSet<String> {
        const FORMAT: &str = "{{$service := index .Config.Labels \"com.docker.compose.service\"}}\
            {{range $port, $_ := .HostConfig.PortBindings}}{{$service}} {{$port}}\n{{end}}";
        let all = self.compose(&["ps", "--all", "--quiet"]).await;
        let mut arguments = vec!["inspect", "--format", FORMAT];
        arguments.extend(all.lines());
        let [said, _] = self.docker(&arguments).await;
        let lines = said.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    }

    /// All that was logged, by the probe too.
    pub(super) async fn logs(&self) -> String {
        let mut command = self.script("docker/compose");
        command.args(["logs", "--no-color"]);
        let platform = self.run(command, None).await.concat();
        platform + &self.docker(&["logs", &self.probe()]).await.concat()
    }

    /// Passwords and keys of this platform.
    pub(super) fn secrets(&self) -> Vec<String> {
        let files = [".env_server", ".env_database"].map(|name| self.folder.path().join(name));
        let texts = files.map(|path| fs::read_to_string(path).expect("settings"));
        let lines = texts.iter().flat_map(|text| text.lines());
        let set = lines.filter_map(|line| line.split_once('='));
        let secret = set.filter(|(name, _)| name.ends_with("PASSWORD") || name.ends_with("KEY"));
        secret
            .map(|(_, value)| value.to_owned())
            .filter(|value| !value.is_empty())
            .collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let compose = |arguments: &[&str]| {
            let mut command = Blocking::new(project_file("docker/compose"));
            // One that fails has said why; there is nothing more that can be done.
            let _ = command.envs(self.variables()).args(arguments).status();
        };
        let docker = |arguments: &[&str]| {
            let _ = Blocking::new("docker")
                .args(arguments)
                .stdout(Stdio::null())
                .status();
        };
        if std::thread::panicking() {
            compose(&["ps", "--all"]);
            compose(&["logs", "--no-color", "--tail", TAIL]);
            let _ = Blocking::new("docker")
                .args(["logs", "--tail", TAIL, &self.probe()])
                .status();
        }
        docker(&["rm", "--force", "--volumes", &self.probe()]);
        compose(&["down", "--volumes", "--remove-orphans", "--timeout", "5"]);
    }
}
