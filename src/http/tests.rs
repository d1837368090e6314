//! Servers that hang up on whom they do not let in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode, Url};

use super::{Access, Agent, Answer, Error, Login, Patience, Purpose, Result};
use crate::io::CancelToken;
use crate::progress::Silent;

static PURPOSE: Purpose = Purpose { what: "", check: "", mirror: "", by_hand: None };

/// Has a token that has run out, and can get `next`.
struct Tokens {
    now: Mutex<&'static str>,
    next: &'static str,
}

impl Login for Tokens {
    fn header(&self, _: &Url) -> Option<HeaderValue> {
        Some(HeaderValue::from_static(*self.now.lock().unwrap()))
    }

    fn answer(&self, _: &Url, _: &HeaderMap, used: Option<&HeaderValue>, had_fresh: bool) -> Result<Answer> {
        assert_eq!(used, self.header(&Url::parse("http://h").unwrap()).as_ref());
        *self.now.lock().unwrap() = self.next;
        Ok(if had_fresh { Answer::Nothing } else { Answer::Fresh })
    }
}

/// What comes of 32 MiB that are put by the login `now`, and after a refusal by `next`, and what the server was asked. It
/// takes them of `right` alone and hangs up on all others, of whom it lets `unlucky` in.
fn put(now: &'static str, next: &'static str) -> (Result<StatusCode>, Vec<String>) {
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = Url::parse(&format!("http://{}/x", server.local_addr().unwrap())).unwrap();
    let asked = Mutex::new(Vec::new());
    let put = std::thread::scope(|scope| {
        scope.spawn(|| {
            for stream in server.incoming().map_while(std::result::Result::ok) {
                let mut from = BufReader::new(&stream);
                let head: Vec<String> = from
                    .by_ref()
                    .lines()
                    .map_while(|line| line.ok().filter(|line| !line.is_empty()))
                    .collect();
                let Some(first) = head.first() else { return };
                let method = first.split(' ').next().unwrap().to_owned();
                asked.lock().unwrap().push(method.clone());
                let has = |login: &str| head.contains(&format!("authorization: {login}"));
                let is_in = has("right") || has("unlucky");
                let status = match (&*method, is_in) {
                    // with what was sent unread, which resets the connection
                    ("PUT", _) if !has("right") => continue,
                    ("PUT", _) => {
                        std::io::copy(&mut from.take(32 << 20), &mut std::io::sink()).unwrap();
                        "201 Created"
                    }
                    (_, false) => "401 Unauthorized",
                    (_, true) => "404 Not Found",
                };
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                (&stream).write_all(head.as_bytes()).unwrap();
            }
        });
        let tokens = Tokens { now: Mutex::new(now), next };
        let access = Access { purpose: &PURPOSE, accept: None, login: Some(&tokens) };
        let cancel = CancelToken::default();
        // no fault of the network is forgiven
        let patience = Patience { attempts: 1, stall: Duration::from_secs(30) };
        let agent = Agent::new(patience, &cancel, &Silent, access).unwrap();
        let put = agent
            .send(&Method::PUT, &url, &[], &mut agent.backoff(), |request| request.body(vec![7; 32 << 20]));
        // wakes the server
        drop(TcpStream::connect(url.socket_addrs(|| None).unwrap()[0]).unwrap());
        put.map(|reply| reply.status)
    });
    (put, asked.into_inner().unwrap())
}

#[test]
fn who_is_hung_up_on_in_the_middle_may_have_to_log_in_again() {
    let (put_there, asked) = put("ended", "right");
    assert_eq!(put_there.unwrap(), StatusCode::CREATED);
    assert_eq!(asked, ["PUT", "HEAD", "PUT"]);
    let (refused, asked) = put("ended", "wrong");
    let refused = refused.unwrap_err();
    assert!(matches!(refused, Error::Status { status: StatusCode::UNAUTHORIZED, .. }), "{refused}");
    assert_eq!(asked, ["PUT", "HEAD", "PUT", "HEAD"]);
    // and where it is another fault it stays one
    let (cut, asked) = put("unlucky", "right");
    assert!(matches!(cut, Err(Error::Network { .. })), "{cut:?}");
    assert_eq!(asked, ["PUT", "HEAD"]);
}

/// Always knows a token that somebody else got meanwhile, once it has got one itself.
#[derive(Default)]
struct Busy(Mutex<Vec<bool>>);

impl Login for Busy {
    fn header(&self, _: &Url) -> Option<HeaderValue> {
        Some(HeaderValue::from(self.0.lock().unwrap().len()))
    }

    fn answer(&self, _: &Url, _: &HeaderMap, _: Option<&HeaderValue>, had_fresh: bool) -> Result<Answer> {
        let mut seen = self.0.lock().unwrap();
        seen.push(had_fresh);
        Ok(if seen.len() == 1 { Answer::Fresh } else { Answer::Known })
    }
}

#[test]
fn what_others_get_does_not_let_a_request_ask_once_more() {
    let server = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = Url::parse(&format!("http://{}/x", server.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        for mut stream in server.incoming().map_while(std::result::Result::ok) {
            let from = BufReader::new(stream.try_clone().unwrap());
            let count = from.lines().map_while(|line| line.ok().filter(|line| !line.is_empty())).count();
            assert!(count > 0);
            let head = "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            stream.write_all(head.as_bytes()).unwrap();
        }
    });
    let login = Busy::default();
    let access = Access { purpose: &PURPOSE, accept: None, login: Some(&login) };
    let cancel = CancelToken::default();
    let agent = Agent::new(Patience::default(), &cancel, &Silent, access).unwrap();
    let refused = agent.send(&Method::POST, &url, &[], &mut agent.backoff(), |request| request);
    assert!(matches!(refused, Err(Error::Status { status: StatusCode::UNAUTHORIZED, .. })));
    assert_eq!(*login.0.lock().unwrap(), [false, true, true, true]);
}
