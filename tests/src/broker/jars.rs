//! What is needed to run a broker: Java, and Kafka's jars, which Maven fetches once, into cargo's target directory.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use super::Unavailable;

/// Lists the jars. Kafka's version is only there.
const POM: &str = include_str!("../../kafka/pom.xml");

/// The oldest Java that runs a Kafka 4 broker.
const JAVA: u32 = 17;

pub(crate) fn require_java() -> Result<(), Unavailable> {
    let output = run(Command::new("java").arg("-version"), &format!("Java {JAVA} or newer"))?;
    // As in: openjdk version "17.0.15" 2025-04-15
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.split_once("version \"").map_or("", |(_, rest)| rest);
    let digits = version.split(|c: char| !c.is_ascii_digit()).next();
    match digits.and_then(|digits| digits.parse::<u32>().ok()) {
        Some(major) if major >= JAVA => Ok(()),
        _ => Err(Unavailable(format!("Java {JAVA} or newer is not on the PATH, but:\n{}", tail(&text)))),
    }
}

/// The directory of Kafka's jars. Maven fills it if they aren't there yet.
pub(crate) fn kafka_jars() -> Result<PathBuf, Unavailable> {
    // Other jars get another directory: a changed pom.xml never meets the old jars.
    let mut hasher = DefaultHasher::new();
    POM.hash(&mut hasher);
    let jars = target_directory().join(format!("kafka-jars-{:016x}", hasher.finish()));
    if !jars.exists() {
        fetch_jars(&jars)?;
    }
    Ok(jars)
}

fn fetch_jars(jars: &Path) -> Result<(), Unavailable> {
    let failed = |error: io::Error| Unavailable(format!("cannot fetch Kafka's jars to {}: {error}", jars.display()));
    let target = target_directory();
    fs::create_dir_all(&target).map_err(failed)?;
    // One process fetches, and others wait for it here; the lock is released when its process ends.
    let lock = File::create(jars.with_extension("lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    if jars.exists() {
        return Ok(());
    }
    let incoming = tempfile::Builder::new().prefix("kafka-incoming-").tempdir_in(target).map_err(failed)?;
    let (pom, lib) = (incoming.path().join("pom.xml"), incoming.path().join("lib"));
    fs::write(&pom, POM).map_err(failed)?;
    let mut maven = Command::new("mvn");
    maven.args(["--batch-mode", "--quiet", "-Dstyle.color=never", "--file"]).arg(pom);
    maven.arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", lib.display()));
    let output = run(&mut maven, "Maven")?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        return Err(Unavailable(format!(
            "Maven could not fetch Kafka's jars ({}):\n{}",
            output.status,
            tail(&String::from_utf8_lossy(&text))
        )));
    }
    // All of them appear at once, so a directory that exists is complete.
    fs::rename(lib, jars).map_err(failed)
}

/// Cargo's target directory, as far as a test can tell.
fn target_directory() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.parent().unwrap_or(package);
    // An absolute path stays unchanged.
    workspace.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

pub(crate) fn run(command: &mut Command, what: &str) -> Result<Output, Unavailable> {
    command.stdin(Stdio::null()).output().map_err(|error| {
        Unavailable(if error.kind() == io::ErrorKind::NotFound {
            format!("{what} is not on the PATH")
        } else {
            format!("cannot run {what}: {error}")
        })
    })
}

/// The last 20 lines.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
