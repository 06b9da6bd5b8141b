//! The table of cases that were tried against the guard; README.md has it in short.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;

use async_trait::async_trait;
use parking_lot::Mutex;
use streamkeeper::protocol::subscription::MAX_URL_BYTES;

use super::url::Reach;
use super::*;

const PRODUCTION: UrlPolicy = UrlPolicy { allow_localhost: false };
const DEVELOPMENT: UrlPolicy = UrlPolicy { allow_localhost: true };

/// Answers with what it was given, one answer a question.
struct Scripted(Mutex<VecDeque<Vec<IpAddr>>>);

impl Scripted {
    fn new(answers: &[&[&str]]) -> Self {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Self(Mutex::new(answers.iter().map(parse).collect()))
    }

    fn unasked(&self) -> usize {
        self.0.lock().len()
    }
}

#[async_trait]
impl Resolve for Scripted {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<IpAddr>> {
        self.0.lock().pop_front().ok_or_else(|| io::Error::other("asked too often"))
    }
}

#[test]
fn urls_that_are_rejected_everywhere() {
    for url in [
        // Not URLs, or not ours.
        "",
        "hooks",
        "/hooks",
        "//worker.example/hooks",
        "https://",
        "https:///",
        "https://?x",
        "ftp://worker.example/",
        "file:///etc/passwd",
        "gopher://worker.example/",
        "javascript:alert(1)",
        "http://worker.example/hooks",
        "HTTP://WORKER.EXAMPLE/",
        "ws://worker.example/",
        // Credentials, which also hide where a URL leads.
        "https://user@worker.example/",
        "https://user:secret@worker.example/",
        "https://:secret@worker.example/",
        "https://worker.example@10.0.0.1/",
        "http://localhost@evil.example/",
        "http://127.0.0.1@evil.example/",
        // Ports.
        "https://worker.example:0/",
        "https://worker.example:65536/",
        "https://worker.example:x/",
        // Private and special addresses, also in other spellings.
        "http://10.0.0.1/hook",
        "https://10.0.0.1/",
        "https://10.0.0.1./",
        "https://172.16.0.1/",
        "https://192.168.1.1/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        "https://0.0.0.0/",
        "http://0.0.0.0/",
        "http://0/",
        "https://0/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://167772161/",
        "https://0xa000001/",
        "https://0xA9FEA9FE/",
        "https://012.0.0.1/",
        "https://10.1/",
        "https://255.255.255.255/",
        "https://224.0.0.1/",
        "https://198.18.0.1/",
        "https://192.0.2.1/",
        "https://168.63.129.16/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://0x100000000/",
        // The same in fullwidth digits and with an ideographic full stop.
        "https://\u{ff11}\u{ff10}.0.0.1/",
        "https://127\u{3002}0\u{3002}0\u{3002}1/",
        "https://%31%30.0.0.1/",
        // IPv6.
        "http://[::1]/",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::10.0.0.1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:7f00:1::]/",
        "https://[2001:db8::1]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[ff02::1]/",
        "https://[::1/",
        "https://::1/",
        // Names of this machine or of the local network.
        "https://localhost/",
        "https://localhost./",
        "https://LOCALHOST/",
        "https://loc%61lhost/",
        "https://a.localhost/",
        "https://a.localhost./",
        "http://a.localhost/",
        "http://localhost.evil.example/",
        "https://intranet/",
        "https://intranet./",
        "https://worker.example../",
    ] {
        assert!(PRODUCTION.judge(url).is_err(), "{url}");
        assert!(DEVELOPMENT.judge(url).is_err(), "{url}");
    }
    let long = format!("https://worker.example/{}", "x".repeat(MAX_URL_BYTES));
    assert_eq!(PRODUCTION.judge(&long), Err(UrlRejection::TooLong));
}

#[test]
fn http_to_localhost_is_for_development() {
    for url in [
        "http://localhost/",
        "http://localhost:3000/hook",
        "http://LocalHost/",
        "http://localhost./",
        "http://127.0.0.1:8080/hook",
        "http://127.1.2.3/",
        "http://0x7f000001/",
    ] {
        assert_eq!(PRODUCTION.judge(url), Err(UrlRejection::LocalhostNotAllowed), "{url}");
        assert_eq!(DEVELOPMENT.judge(url).unwrap().reach(), Reach::Loopback, "{url}");
    }
}

#[test]
fn https_to_public_hosts_is_always_allowed() {
    for (url, host, port, authority, target) in [
        ("https://worker.example/hooks", "worker.example", 443, "worker.example", "/hooks"),
        ("https://worker.example.", "worker.example", 443, "worker.example.", "/"),
        (
            "https://WORKER.example:8443?a=b#c",
            "worker.example",
            8443,
            "worker.example:8443",
            "/?a=b",
        ),
        ("https://8.8.8.8/x", "8.8.8.8", 443, "8.8.8.8", "/x"),
        ("https://134744072/x", "8.8.8.8", 443, "8.8.8.8", "/x"),
        ("https://[2606:4700::1111]:444/", "2606:4700::1111", 444, "[2606:4700::1111]:444", "/"),
        (
            "https://b\u{fc}cher.example/",
            "xn--bcher-kva.example",
            443,
            "xn--bcher-kva.example",
            "/",
        ),
    ] {
        for policy in [PRODUCTION, DEVELOPMENT] {
            let judged = policy.judge(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let found = (judged.host(), judged.port(), judged.authority(), judged.path_and_query());
            let wanted = (host.to_owned(), port, authority.to_owned(), target.to_owned());
            assert_eq!((judged.reach(), found), (Reach::Public, wanted), "{url}");
        }
    }
}

#[tokio::test]
async fn one_forbidden_address_in_an_answer_forbids_them_all() {
    let url = PRODUCTION.judge("https://worker.example:8443/").unwrap();
    for bad in [
        "10.0.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "::ffff:192.168.0.1",
        "64:ff9b::7f00:1",
        "fe80::1",
        "fd00::1",
        "2002:a00:1::1",
        "ff02::1",
    ] {
        for answer in [&[bad][..], &["8.8.8.8", bad], &[bad, "2606:4700::1111"]] {
            let refused = target(&url, &Scripted::new(&[answer])).await;
            assert!(matches!(refused, Err(NoTarget::Forbidden(..))), "{answer:?}: {refused:?}");
        }
    }
    let allowed = target(&url, &Scripted::new(&[&["8.8.8.8", "2606:4700::1111"]])).await.unwrap();
    assert_eq!(
        allowed,
        ["8.8.8.8:8443".parse().unwrap(), "[2606:4700::1111]:8443".parse().unwrap()]
    );
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_asked_once_a_delivery() {
    let url = PRODUCTION.judge("https://rebind.example/").unwrap();
    let rebinding = Scripted::new(&[&["8.8.8.8"], &["127.0.0.1"]]);
    let first = target(&url, &rebinding).await.unwrap();
    assert_eq!(first, ["8.8.8.8:443".parse().unwrap()]);
    assert_eq!(rebinding.unasked(), 1, "what was judged is what is connected to");
    assert!(matches!(target(&url, &rebinding).await, Err(NoTarget::Forbidden(..))));
}

#[tokio::test]
async fn localhost_leads_to_this_machine_or_nowhere() {
    let url = DEVELOPMENT.judge("http://localhost:3000/").unwrap();
    let both = target(&url, &Scripted::new(&[&["::1", "127.0.0.1"]])).await.unwrap();
    assert_eq!(both, ["[::1]:3000".parse().unwrap(), "127.0.0.1:3000".parse().unwrap()]);
    for answer in [&["10.0.0.1"][..], &["127.0.0.1", "8.8.8.8"], &["::ffff:10.0.0.1"]] {
        let refused = target(&url, &Scripted::new(&[answer])).await;
        assert!(matches!(refused, Err(NoTarget::Forbidden(..))), "{answer:?}");
    }
}

#[tokio::test]
async fn a_literal_address_is_not_resolved_and_an_empty_answer_is_an_error() {
    let literal = PRODUCTION.judge("https://8.8.8.8/").unwrap();
    assert!(target(&literal, &Scripted::new(&[])).await.is_ok());
    let named = PRODUCTION.judge("https://worker.example/").unwrap();
    assert!(matches!(target(&named, &Scripted::new(&[&[]])).await, Err(NoTarget::NoAddress)));
    assert!(matches!(target(&named, &Scripted::new(&[])).await, Err(NoTarget::Unresolved(_))));
}
