//! Small writers that every back end uses. They append to a text and allocate nothing, for a build may have 100,000 rules.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::net::AddressRange;
use crate::netfilter::words::quotable;

/// Puts a text behind another. Of a large build nearly all is in one of the two: that one is not held twice while the other joins it.
pub(super) fn join(head: &mut String, mut tail: String) {
    if head.len() < tail.len() {
        tail.insert_str(0, head);
        *head = tail;
    } else {
        head.push_str(&tail);
    }
}

/// Appends text for a comment line: line ends and control characters become spaces.
pub(super) fn plain(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_control() { ' ' } else { c }));
}

/// Appends text between quotation marks, as far as it is [`quotable`]. Cut at `limit` bytes, at the end of a character.
pub(super) fn quoted(out: &mut String, text: &str, limit: usize) {
    out.push('"');
    let start = out.len();
    for c in text.chars().map(quotable) {
        if out.len() - start + c.len_utf8() > limit {
            while out.len() - start + '…'.len_utf8() > limit && out.len() > start {
                out.pop();
            }
            out.push('…');
            break;
        }
        out.push(c);
    }
    out.push('"');
}

/// Appends a number.
pub(super) fn number(out: &mut String, number: impl Into<u64>) {
    let mut rest: u64 = number.into();
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        // A digit always fits.
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend(digits[at..].iter().map(|&digit| char::from(digit)));
}

/// Appends an address.
pub(super) fn address(out: &mut String, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            number(out, a);
            for part in [b, c, d] {
                out.push('.');
                number(out, part);
            }
        }
        // Writing to a String cannot fail.
        IpAddr::V6(address) => {
            let _ = write!(out, "{address}");
        }
    }
}

/// The prefix length if the range is exactly one prefix.
pub(super) fn prefix_length(range: &AddressRange) -> Option<u8> {
    let (first, last, bits) = match (range.first, range.last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            (u128::from(u32::from(first)) << 96, u128::from(u32::from(last)) << 96 | u128::MAX >> 32, 32)
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => (u128::from(first), u128::from(last), 128),
        _ => return None,
    };
    let length = (first ^ last).leading_zeros();
    let host = u128::MAX.checked_shr(length).unwrap_or(0);
    // The bits below the common ones have to be all clear in the first address and all set in the last.
    (first & host == 0 && last & host == host).then(|| u8::try_from(length).unwrap_or(128).min(bits))
}

/// Appends a range: one address, a prefix, or both ends with `-` between them.
pub(super) fn range(out: &mut String, range: &AddressRange) {
    address(out, range.first);
    if range.first == range.last {
        return;
    }
    if let Some(length) = prefix_length(range) {
        out.push('/');
        number(out, length);
    } else {
        out.push('-');
        address(out, range.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_the_standard_library_writes_them() {
        for text in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "1.2.3.4",
            "1.2.3.4-1.2.3.5",
            "1.2.3.5-1.2.3.6",
            "::/0",
            "2001:db8::/32",
            "::1",
            "::1-::2",
        ] {
            let parsed: AddressRange = text.parse().expect(text);
            let mut out = String::new();
            range(&mut out, &parsed);
            assert_eq!(out, parsed.to_string());
        }
    }

    #[test]
    fn a_text_is_cut_at_the_end_of_a_character_and_cannot_leave_its_quotation_marks() {
        let mut out = String::new();
        quoted(&mut out, "ä\"\\\n;", 100);
        assert_eq!(out, "\"ä'/ ;\"");
        out.clear();
        quoted(&mut out, &"ä".repeat(100), 9);
        assert_eq!(out, "\"äää…\"");
    }
}
