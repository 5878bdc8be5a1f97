//! A tap device: an Ethernet card whose wire is a file of ours. What is written arrives at the kernel before the write
//! returns, and what the kernel sends out through it can be read at once; so no packet has to be waited for.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// An Ethernet header's length.
pub const ETHERNET: usize = 14;

/// A tap device.
pub struct Tap {
    file: File,
    mac: [u8; 6],
}

#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

impl Tap {
    /// Makes a device of that name in this thread's network namespace; it goes when it is dropped.
    pub fn open(name: &str) -> io::Result<Self> {
        const TUNSETIFF: u64 = 0x4004_54ca;
        const IFF_TAP: u16 = 0x0002;
        const IFF_NO_PI: u16 = 0x1000;
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun")?;
        let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TAP | IFF_NO_PI, rest: [0; 22] };
        if name.len() >= request.name.len() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "the name is too long"));
        }
        request.name[..name.len()].copy_from_slice(name.as_bytes());
        set_interface(&file, TUNSETIFF, &request)?;
        let mac = interface_mac(&file)?;
        Ok(Self { file, mac })
    }

    /// Lets an IP packet arrive. Without a source MAC it comes from 02:00:00:00:00:01.
    pub fn write(&mut self, packet: &[u8], source: Option<[u8; 6]>) -> io::Result<()> {
        self.write_to(packet, source, self.mac)
    }

    /// Lets an IP packet arrive in a frame for `target`, which a bridge may pass on.
    pub fn write_to(&mut self, packet: &[u8], source: Option<[u8; 6]>, target: [u8; 6]) -> io::Result<()> {
        let mut frame = [0u8; 2048];
        let length = ETHERNET + packet.len();
        frame[0..6].copy_from_slice(&target);
        frame[6..12].copy_from_slice(&source.unwrap_or([2, 0, 0, 0, 0, 1]));
        let ethertype: u16 = if packet[0] >> 4 == 6 { 0x86dd } else { 0x0800 };
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        frame[ETHERNET..length].copy_from_slice(packet);
        self.file.write_all(&frame[..length])
    }

    /// The next IP packet that the kernel sent out here; `None` if there is none.
    pub fn read<'a>(&mut self, buffer: &'a mut [u8; 2048]) -> Option<&'a [u8]> {
        match self.file.read(buffer) {
            Ok(length) if length > ETHERNET => Some(&buffer[ETHERNET..length]),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("a tap device cannot be read: {error}"),
        }
    }
}

#[allow(unsafe_code)]
fn set_interface(file: &File, request_number: u64, request: &InterfaceRequest) -> io::Result<()> {
    // SAFETY: TUNSETIFF reads a `struct ifreq` (40 bytes, laid out as InterfaceRequest) that lives through the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), request_number as _, std::ptr::from_ref(request)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[allow(unsafe_code)]
fn interface_mac(file: &File) -> io::Result<[u8; 6]> {
    // On a tap's file, SIOCGIFHWADDR gives the device's own address in place of a socket's.
    const SIOCGIFHWADDR: u64 = 0x8927;
    let mut answer = InterfaceRequest { name: [0; 16], flags: 0, rest: [0; 22] };
    // SAFETY: SIOCGIFHWADDR writes a `struct ifreq` (40 bytes, laid out as InterfaceRequest) that lives through the call.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), SIOCGIFHWADDR as _, std::ptr::from_mut(&mut answer)) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // After the name comes a `sockaddr`: two bytes of family, then the address.
    Ok(answer.rest[..6].try_into().expect("six bytes"))
}
