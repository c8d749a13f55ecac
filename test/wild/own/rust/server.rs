//! A server on Rust's standard library: a thread for each connection.
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const TEXT: &str = "It works.\n";

fn serve(mut stream: TcpStream) {
    let mut text = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(size) = stream.read(&mut bytes) {
        if size == 0 {
            return;
        }
        text.extend_from_slice(&bytes[..size]);
        while let Some(at) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            let last = String::from_utf8_lossy(&text[..at]).to_lowercase().contains("connection: close");
            text.drain(..at + 4);
            let close = if last { "Connection: close\r\n" } else { "" };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{}\r\n", TEXT.len(), close);
            let answer = head + TEXT;
            if stream.write_all(answer.as_bytes()).is_err() || last {
                return;
            }
        }
    }
}

#[no_mangle]
pub extern "C" fn liveswap_main(_: i32) -> i32 {
    let port: u16 = std::env::args().nth(1).and_then(|word| word.parse().ok()).expect("a port");
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("bind");
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || serve(stream));
    }
    1
}
