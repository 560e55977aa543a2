//! The program `helm`: renders the charts of extensions. Run without a shell, in a folder of its own that goes with it, and not
//! longer than so long. Values and credentials reach it in files that only we may read, and never stand in a log: of what it
//! complains about, only lines that hold no value are told.

use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::render::chart::{Outcome, Reason, Refused, Request, Source, finished};

/// So many run at once.
const AT_ONCE: usize = 4;
/// Longer than this nothing may take: a pull over a slow line included.
const LIMIT: Duration = Duration::from_mins(2);
/// More than this is no chart of an extension: it has to fit a Secret.
const LARGEST: u64 = 8 << 20;
/// So much of a complaint is told.
const TOLD: usize = 400;

/// How the program is run.
#[derive(Clone)]
pub struct Helm {
    program: PathBuf,
    limit: Duration,
    turns: Arc<Semaphore>,
}

/// What a registry asks for: contents of Secrets.
#[derive(Default)]
pub struct Credentials {
    /// `.dockerconfigjson`.
    pub pull: Option<Zeroizing<Vec<u8>>>,
    /// `bundle.crt`.
    pub authorities: Option<Zeroizing<Vec<u8>>>,
}

impl Helm {
    /// The program with this name, looked for on the path, or at this path.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), limit: LIMIT, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The same with another limit on the time that it may take.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Renders a chart.
    pub async fn render(&self, request: Arc<Request>, credentials: Credentials) -> Outcome {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let helm = self.clone();
        let work = tokio::task::spawn_blocking(move || helm.run(&request, &credentials));
        work.await.unwrap_or_else(|_| Err(Refused::new(Reason::ChartCannotBeRendered, "internal error")))
    }

    fn run(&self, request: &Request, credentials: &Credentials) -> Outcome {
        let invalid = |message: &str| Refused::new(Reason::ChartInformationInvalid, message);
        let here = |error: io::Error| {
            Refused::new(Reason::ChartCannotBeRendered, format!("a temporary folder could not be used: {error}"))
        };
        let deadline = Instant::now() + self.limit;
        let folder = Folder::new().map_err(here)?;
        let chart = folder.path("chart.tgz");
        match &request.source {
            Source::Packed(deployment) => {
                let text = deployment.pointer("/helm/rawChart").and_then(Value::as_str).unwrap_or_default();
                let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
                let bytes = STANDARD.decode(text).map_err(|_| invalid("helm.rawChart is not base64"))?;
                if bytes.is_empty() {
                    return Err(invalid("there is neither helm.rawChart nor helm.ociRepository"));
                }
                folder.write("chart.tgz", &bytes).map_err(here)?;
            }
            Source::Registry { repository, tag, .. } => {
                if repository.is_empty() {
                    return Err(invalid("helm.ociRepository names no repository"));
                }
                // It makes none by itself.
                fs::create_dir(folder.path("pulled")).map_err(here)?;
                let mut command = self.command(&folder);
                command.args(["pull", &format!("oci://{repository}"), "--destination"]).arg(folder.path("pulled"));
                if let Some(tag) = tag {
                    command.args(["--version", tag]);
                }
                if let Some(bytes) = &credentials.pull {
                    folder.write("registry.json", bytes).map_err(here)?;
                    command.arg("--registry-config").arg(folder.path("registry.json"));
                }
                if let Some(bytes) = &credentials.authorities {
                    folder.write("bundle.crt", bytes).map_err(here)?;
                    command.arg("--ca-file").arg(folder.path("bundle.crt"));
                }
                self.output(command, deadline, Reason::OciChartCannotBePulled, &request.values)?;
                let pulled = fs::read_dir(folder.path("pulled")).ok().and_then(|mut files| files.next()?.ok());
                let pulled = pulled.ok_or_else(|| Refused::new(Reason::OciChartCannotBePulled, "nothing was pulled"))?;
                fs::rename(pulled.path(), &chart).map_err(here)?;
            }
        }
        folder.write("values.yaml", request.values.to_string().as_bytes()).map_err(here)?;
        let mut command = self.command(&folder);
        command.args(["template", &request.release]).arg(&chart);
        command.args(["--namespace", &request.namespace, "--no-hooks", "--values"]).arg(folder.path("values.yaml"));
        if let Some(version) = &request.kubernetes {
            command.args(["--kube-version", version]);
        }
        let printed = self.output(command, deadline, Reason::ChartCannotBeRendered, &request.values)?;
        let printed = std::str::from_utf8(&printed)
            .map_err(|_| Refused::new(Reason::ChartCannotBeRendered, "what it gives is not text"))?;
        finished(printed, request).map(Arc::new)
    }

    /// The program, with nothing of our clusters in its environment and nothing of its own outside the folder.
    fn command(&self, folder: &Folder) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&folder.0).env_remove("KUBECONFIG").env("TMPDIR", &folder.0);
        for (variable, name) in [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")] {
            command.env(variable, folder.path(name));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// What it prints; a refusal with `reason` and its own words if it fails.
    fn output(
        &self,
        mut command: Command,
        deadline: Instant,
        reason: Reason,
        values: &Value,
    ) -> Result<Zeroizing<Vec<u8>>, Refused> {
        let program = self.program.display();
        // Another folder each time would be another complaint each time.
        let folder = command.get_current_dir().map(|folder| format!("{}/", folder.display())).unwrap_or_default();
        let mut child = match command.spawn() {
            Ok(child) => Ended(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("there is no program `{program}`: install helm, or say --helm PROGRAM");
                return Err(Refused::new(Reason::HelmMissing, message));
            }
            Err(error) => return Err(Refused::new(Reason::HelmMissing, format!("`{program}` cannot be run: {error}"))),
        };
        let (printed, complained) = (read_all(child.0.stdout.take()), read_all(child.0.stderr.take()));
        let left = || deadline.saturating_duration_since(Instant::now());
        let late = || Refused::new(reason, format!("`{program}` took longer than {} seconds", self.limit.as_secs()));
        // Both pipes end with the program; whoever holds them open longer is not waited for.
        let printed = printed.recv_timeout(left()).map_err(|_| late())?;
        let complained = complained.recv_timeout(left()).map_err(|_| late())?;
        let status = child.0.wait().map_err(|error| Refused::new(reason, format!("`{program}` was lost: {error}")))?;
        if !status.success() {
            return Err(Refused::new(
                reason,
                format!("`{program}` ended with {status}: {}", told(&complained, values).replace(&folder, "")),
            ));
        }
        if u64::try_from(printed.len()).unwrap_or(u64::MAX) > LARGEST {
            return Err(Refused::new(reason, "what it gives is larger than 8 MiB"));
        }
        Ok(printed)
    }
}

/// A process that does not outlive its use.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended: then neither does anything.
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait().map(drop)) {
            tracing::debug!(%error, "helm had ended");
        }
    }
}

/// Reads a pipe to its end on a thread of its own, so that neither of two fills up; not more than there may be, and a byte.
fn read_all(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Zeroizing<Vec<u8>>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = pipe.map(|pipe| pipe.take(LARGEST + 1).read_to_end(&mut bytes));
        if let Some(Err(error)) = read {
            tracing::debug!(%error, "helm's output could not be read");
        }
        // Nobody listens any more once it took too long.
        drop(sender.send(bytes));
    });
    receiver
}

/// What may be told of a complaint: its first line, or the first that says that it is an error, short of what the chart says itself,
/// which may quote values; and values are left out wherever else they stand.
fn told(complaint: &[u8], values: &Value) -> String {
    let text = String::from_utf8_lossy(complaint);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    // What went well before is told there as well.
    let error = lines.clone().find(|line| line.starts_with("Error: "));
    let first = error.or_else(|| lines.next()).unwrap_or("it says nothing");
    let mut first = first.split(": error calling ").next().unwrap_or_default().to_owned();
    if first.contains("execution error at (")
        && let Some(end) = first.find("): ")
    {
        first.truncate(end + 1);
    }
    for (_, value) in values.as_object().into_iter().flatten().filter(|(key, _)| *key != "gardener") {
        leave_out(value, &mut first);
    }
    first.chars().filter(|c| !c.is_control()).take(TOLD).collect()
}

/// Shorter values are no secrets, and stand in every other word.
const SHORTEST: usize = 4;

fn leave_out(value: &Value, text: &mut String) {
    match value {
        Value::String(secret) if secret.len() >= SHORTEST && text.contains(secret.as_str()) => {
            *text = text.replace(secret.as_str(), "<value>");
        }
        Value::Array(items) => items.iter().for_each(|item| leave_out(item, text)),
        Value::Object(map) => map.values().for_each(|value| leave_out(value, text)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A folder that only we may enter, and that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("espalier-helm-{}-{number}", std::process::id()));
        match fs::remove_dir_all(&path) {
            // One of a process that had our number and was killed.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        create(&self.path(name))?.write_all(bytes)
    }
}

fn create(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, folder = %self.0.display(), "a temporary folder could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_told_without_values_and_without_what_a_chart_says_itself() {
        let values = serde_json::json!({"gardener": {"seed": {"name": "eu-west"}}, "a": [{"password": "hunter2"}], "b": "no"});
        let told = |complaint: &str| told(complaint.as_bytes(), &values);
        assert_eq!(
            told("\nError: execution error at (x/templates/a.yaml:3:4): the password is another\nmore hunter2\n"),
            "Error: execution error at (x/templates/a.yaml:3:4)"
        );
        assert_eq!(
            told("Error: template: a.yaml:1:2: executing \"a.yaml\" at <x>: error calling toInt: parsing \"other\""),
            "Error: template: a.yaml:1:2: executing \"a.yaml\" at <x>"
        );
        assert_eq!(told("Error: no hunter2 in eu-west"), "Error: no <value> in eu-west");
        assert_eq!(told("Pulled: a:1\nDigest: sha256:0\nError: no space left\n"), "Error: no space left");
        assert_eq!(told(""), "it says nothing");
    }
}
