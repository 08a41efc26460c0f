//! A socket of the bus: to whom it leads, and how the bus is greeted over it.
//!
//! zbus greets a bus with one message of several lines. Proxies of sandboxes before xdg-dbus-proxy 0.1.6 (Flatpak on
//! Debian 12 and Ubuntu 24.04, firejail) hang up then: they want to answer the first line before they get the last one.
//! For them the lines pass through [`line_by_line`].

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use zbus::Address;
use zbus::address::Transport;
use zbus::address::transport::UnixSocket;
use zruntime::SharedRuntime;

use super::bus_error::BusError;
use super::deadline::Deadline;

/// Longer than the greeting of any bus.
const LONGEST_LINE: usize = 1024;

/// Connects to a bus of this user, or of root.
pub(super) async fn connect(runtime: &SharedRuntime, address: &Address) -> Result<UnixStream, BusError> {
    let name = match address.transport() {
        Transport::Unix(unix) => match unix.path() {
            UnixSocket::File(path) => SocketAddr::from_pathname(path),
            UnixSocket::Abstract(name) => SocketAddr::from_abstract_name(name.as_bytes()),
            other => return Err(BusError::BadAddress(format!("{other} is no socket"))),
        },
        other => return Err(BusError::BadAddress(format!("{other} is no socket"))),
    };
    let not_listening = |cause| BusError::NotListening(address.to_string(), cause);
    let name = name.map_err(not_listening)?;
    let stream =
        zruntime::net::unix::UnixStream::connect_addr(runtime, &name).await.map_err(not_listening)?;
    let stream = stream.into_std();
    let owner = socket_peercred(&stream).map_err(|error| BusError::System(error.into()))?.uid.as_raw();
    if [rustix::process::geteuid().as_raw(), 0].contains(&owner) || is_unmapped(owner) {
        Ok(stream)
    } else {
        Err(BusError::Foreign(owner))
    }
}

/// Returns whether a user id stands for all those that have none in this user namespace, such as that of the bus outside
/// of a container.
fn is_unmapped(user: u32) -> bool {
    const EVERYBODY: &str = "4294967295";
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mapped: Vec<String> = read("/proc/self/uid_map").split_whitespace().map(str::to_owned).collect();
    let overflow = read("/proc/sys/kernel/overflowuid");
    !mapped.is_empty() && mapped != ["0", "0", EVERYBODY] && overflow.trim() == user.to_string()
}

/// Returns a socket over which zbus reaches the bus of `stream`, each line of its greeting sent after the answer to the
/// one before. Two threads carry the messages and end with the connection.
pub(super) fn line_by_line(stream: UnixStream, deadline: &Deadline) -> io::Result<UnixStream> {
    let (ours, carried) = UnixStream::pair()?;
    stream.set_nonblocking(false)?;
    let limit = deadline.left().max(Duration::from_millis(1));
    thread::Builder::new().name("tokenkeep-greet".to_owned()).spawn(move || {
        for end in [&stream, &carried] {
            if end.set_read_timeout(Some(limit)).and(end.set_write_timeout(Some(limit))).is_err() {
                return;
            }
        }
        // Whatever fails, zbus finds the end of the connection.
        if greet(&stream, &carried).is_ok() {
            let _ = carry_both(stream, carried);
        }
    })?;
    Ok(ours)
}

/// Passes the greeting on: the lines of zbus up to BEGIN.
fn greet(bus: &UnixStream, zbus: &UnixStream) -> io::Result<()> {
    let (mut to_bus, mut to_zbus) = (bus, zbus);
    loop {
        let line = line(zbus)?;
        to_bus.write_all(&line)?;
        if line.starts_with(b"BEGIN") {
            return Ok(());
        }
        to_zbus.write_all(&self::line(bus)?)?;
    }
}

/// Reads up to the end of a line and no further: what follows is a message.
fn line(mut from: &UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LONGEST_LINE {
        from.read_exact(&mut byte)?;
        line.push(byte[0]);
        if line.ends_with(b"\r\n") {
            return Ok(line);
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

fn carry_both(bus: UnixStream, zbus: UnixStream) -> io::Result<()> {
    for end in [&bus, &zbus] {
        end.set_read_timeout(None)?;
        end.set_write_timeout(None)?;
    }
    let (from_bus, to_zbus) = (bus.try_clone()?, zbus.try_clone()?);
    thread::Builder::new().name("tokenkeep-carry".to_owned()).spawn(move || {
        end(carry(&from_bus, &to_zbus), &from_bus, &to_zbus);
    })?;
    end(carry(&zbus, &bus), &zbus, &bus);
    Ok(())
}

/// Ends both sides when one has ended, or failed: that shows in the connection.
fn end(_ended: io::Result<()>, one: &UnixStream, other: &UnixStream) {
    for side in [one, other] {
        // A side that has ended already cannot be ended again.
        let _ = side.shutdown(Shutdown::Both);
    }
}

/// Carries bytes with the descriptors that come with them: the portal's request has one.
fn carry(from: &UnixStream, mut to: &UnixStream) -> io::Result<()> {
    let mut bytes = vec![0; 1 << 16];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    loop {
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let buffer = &mut [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(from, buffer, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        if received == 0 {
            return Ok(());
        }
        let mut descriptors = Vec::new();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(these) = message {
                descriptors.extend(these);
            }
        }
        let borrowed: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !borrowed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let sent = sendmsg(to, &[IoSlice::new(&bytes[..received])], &mut control, SendFlags::NOSIGNAL)?;
        to.write_all(&bytes[sent..received])?;
    }
}
