//! A broker that only admits authenticated clients, and only lets them do what they were granted: SASL with
//! SCRAM-SHA-512 over TLS, and Kafka's authorizer.
//!
//! The listener that is open to all is there too. Clients on it are the super user, like the checker.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use simple_sourcing_kafka::access::{Operation, Resource, Right};

use crate::{
    broker::{Broker, Unavailable, connect, kafka_jars, run},
    on_broker::fresh_prefix,
};

/// The broker's settings, besides its addresses.
pub(crate) const PROPERTIES: &str = "\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
listener.name.secured.ssl.keystore.location=trusted.p12
listener.name.expired.ssl.keystore.location=expired.p12
ssl.keystore.type=PKCS12
ssl.keystore.password=of-the-tests
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.secured.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.expired.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
";
const STORE_PASSWORD: &str = "of-the-tests";

/// The password of all users, until it is changed.
pub const PASSWORD: &str = "first-password";

/// How long the broker may take until it knows of a change.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ports of the listeners with TLS.
#[derive(Debug)]
pub(crate) struct Secured {
    trusted: u16,
    expired: u16,
}

impl Secured {
    /// Creates the certificates. Each is its own authority.
    pub(crate) fn prepare(directory: &Path, trusted: u16, expired: u16) -> io::Result<Secured> {
        for (name, validity) in [
            ("trusted", &["-validity", "2"][..]),
            ("expired", &["-startdate", "-10d", "-validity", "5"]),
            // Of no listener.
            ("foreign", &["-validity", "2"]),
        ] {
            let (store, certificate) = (format!("{name}.p12"), format!("{name}.pem"));
            let whose = ["-alias", "broker", "-storetype", "PKCS12", "-storepass", STORE_PASSWORD, "-keystore", &store];
            let make = ["-genkeypair", "-keyalg", "EC", "-dname", "CN=broker", "-ext", "SAN=ip:127.0.0.1"];
            keytool(directory, &[&make, validity, &whose])?;
            keytool(directory, &[&["-exportcert", "-rfc", "-file", &certificate], &whose])?;
        }
        Ok(Secured { trusted, expired })
    }

    pub(crate) fn listeners(&self) -> String {
        format!(",SECURED://127.0.0.1:{},EXPIRED://127.0.0.1:{}", self.trusted, self.expired)
    }
}

/// How the data of a broker are formatted that is to know a user.
pub(crate) fn format_options(user: &str) -> [String; 2] {
    ["--add-scram".to_owned(), format!("SCRAM-SHA-512=[name={user},password={PASSWORD}]")]
}

/// It comes with Java.
fn keytool(directory: &Path, arguments: &[&[&str]]) -> io::Result<()> {
    let output = Command::new("keytool").current_dir(directory).args(arguments.concat()).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stdout).into_owned())),
    }
}

/// Such a broker.
#[derive(Debug)]
pub struct SecuredBroker {
    /// Itself.
    pub broker: Broker,
}

/// The certificate that a client trusts, or that the broker shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// A valid one.
    Trusted,
    /// One that expired some days ago.
    Expired,
    /// One that the broker does not have.
    Foreign,
}

impl SecuredBroker {
    /// Starts one that knows these users.
    ///
    /// # Errors
    /// [`Unavailable`] says what is missing or what failed.
    pub fn start(users: &[String]) -> Result<SecuredBroker, Unavailable> {
        Ok(SecuredBroker { broker: Broker::start_secured(users)? })
    }

    /// Where it shows this certificate.
    #[must_use]
    pub fn servers(&self, certificate: Certificate) -> String {
        let Secured { trusted, expired } = self.broker.secured();
        let port = if certificate == Certificate::Expired { expired } else { trusted };
        format!("127.0.0.1:{port}")
    }

    /// The properties of a client that trusts this certificate.
    #[must_use]
    pub fn properties(&self, user: &str, password: &str, trusts: Certificate) -> Vec<(&'static str, String)> {
        vec![
            ("security.protocol", "SASL_SSL".to_owned()),
            ("ssl.ca.location", self.certificate(trusts).display().to_string()),
            ("sasl.mechanism", "SCRAM-SHA-512".to_owned()),
            ("sasl.username", user.to_owned()),
            ("sasl.password", password.to_owned()),
        ]
    }

    fn certificate(&self, which: Certificate) -> PathBuf {
        let name = match which {
            Certificate::Trusted => "trusted.pem",
            Certificate::Expired => "expired.pem",
            Certificate::Foreign => "foreign.pem",
        };
        self.broker.directory().join(name)
    }

    /// Grants these rights to users, and waits until they are in effect.
    ///
    /// # Panics
    /// If the broker doesn't do it, here and below.
    pub fn grant<'a>(&self, rights: impl IntoIterator<Item = (&'a str, &'a Right)>) {
        self.ask(CREATE_ACLS, rights);
        // The broker learns this one last, so that it then knows the others too.
        let last = fresh_prefix("last");
        let sentinel = Right { operation: Operation::Describe, resource: Resource::Topic(last.clone()) };
        self.ask(CREATE_ACLS, [("nobody", &sentinel)]);
        let deadline = Instant::now() + PATIENCE;
        while !self.request(DESCRIBE_ACLS, &every_acl()).windows(last.len()).any(|part| part == last.as_bytes()) {
            assert!(Instant::now() < deadline, "the broker does not hear of what was granted");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Revokes a right of a user. It takes effect soon after.
    pub fn revoke(&self, user: &str, right: &Right) {
        self.ask(DELETE_ACLS, [(user, right)]);
    }

    /// Gives a user another password.
    pub fn change_password(&self, user: &str, password: &str) {
        let jars = kafka_jars().expect("the broker runs on them");
        let mut tool = Command::new("java");
        tool.args(["-XX:TieredStopAtLevel=1", "-cp", &format!("{}/*", jars.display()), "kafka.admin.ConfigCommand"]);
        tool.args(["--bootstrap-server", self.broker.bootstrap_servers(), "--alter", "--entity-type", "users"]);
        tool.args(["--entity-name", user, "--add-config", &format!("SCRAM-SHA-512=[password={password}]")]);
        let output = run(&mut tool, "Java").expect("it can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn ask<'a>(&self, api: i16, rights: impl IntoIterator<Item = (&'a str, &'a Right)>) {
        let acls: Vec<Vec<u8>> = rights.into_iter().map(|(user, right)| acl(user, right)).collect();
        let answer = self.request(api, &[&(acls.len() as i32).to_be_bytes(), &*acls.concat()].concat());
        // The time for which it was held back, how many results, and of each first an error.
        let results = i32::from_be_bytes(answer[4..8].try_into().expect("four bytes"));
        assert_eq!((results, &answer[8..10]), (acls.len() as i32, &[0, 0][..]), "{}", String::from_utf8_lossy(&answer));
    }

    /// Asks the broker as the super user. The client library has no calls for this.
    fn request(&self, api: i16, body: &[u8]) -> Vec<u8> {
        let exchange = || -> io::Result<Vec<u8>> {
            let mut connection = connect(self.broker.bootstrap_servers())?;
            connection.set_read_timeout(Some(PATIENCE))?;
            // Version 1, correlation id 7, no client id.
            let request = [&api.to_be_bytes()[..], &[0, 1, 0, 0, 0, 7, 255, 255], body].concat();
            connection.write_all(&(request.len() as u32).to_be_bytes())?;
            connection.write_all(&request)?;
            let mut length = [0; 4];
            connection.read_exact(&mut length)?;
            let mut answer = vec![0; u32::from_be_bytes(length) as usize];
            connection.read_exact(&mut answer)?;
            // Behind the correlation id.
            Ok(answer.split_off(4))
        };
        exchange().expect("the broker answers")
    }
}

const DESCRIBE_ACLS: i16 = 29;
const CREATE_ACLS: i16 = 30;
const DELETE_ACLS: i16 = 31;

/// A right of a user as Kafka writes it, both to create it and to look it up.
fn acl(user: &str, right: &Right) -> Vec<u8> {
    const LITERAL: u8 = 3;
    const PREFIXED: u8 = 4;
    const ALLOW: u8 = 3;
    let (resource, name, pattern) = match &right.resource {
        Resource::Topic(name) => (2, name, LITERAL),
        Resource::Group(name) => (3, name, LITERAL),
        Resource::TransactionalIds(prefix) => (5, prefix, PREFIXED),
        other => panic!("{other:?} is new"),
    };
    let operation = match right.operation {
        Operation::Read => 3,
        Operation::Write => 4,
        Operation::Create => 5,
        Operation::Describe => 8,
        Operation::DescribeConfigs => 10,
        other => panic!("{other:?} is new"),
    };
    let principal = format!("User:{user}");
    [&[resource][..], &text(name), &[pattern], &text(&principal), &text("*"), &[operation, ALLOW]].concat()
}

/// A filter that matches everything.
fn every_acl() -> Vec<u8> {
    const ANY: u8 = 1;
    const NO_TEXT: [u8; 2] = [255, 255];
    [&[ANY][..], &NO_TEXT, &[ANY], &NO_TEXT, &NO_TEXT, &[ANY, ANY]].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}
