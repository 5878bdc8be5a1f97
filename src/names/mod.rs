//! Names that iptables, nft and the kernel have for numbers: ICMP types, DSCP classes, log levels, kinds of reject, conntrack
//! helpers. Tables and look-ups only; which of them a rule may use where is for the checks to say.

pub mod dscp;
pub mod helper;
pub mod icmp;
pub mod port;
pub mod reject;
pub mod service;
pub mod syslog;

/// The candidate that `name` was probably meant to be: near enough to be a slip of the fingers, or the same but for case.
#[must_use]
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Texts far longer than any name are no slips, and comparing them would cost their length squared.
    if name.len() > 64 {
        return None;
    }
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let allowed = match name.len() {
        0..=4 => 1,
        _ => 2,
    };
    let own = letters(&name);
    let mut other: Vec<char> = Vec::with_capacity(64);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.into_iter().filter(|candidate| candidate.len() <= 64) {
        // A project may have 100,000 names, and ask for each of 500 slips: what cannot be near is not compared.
        other.clear();
        other.extend(candidate.chars().flat_map(char::to_lowercase));
        let far =
            other.len().abs_diff(name.len()) > allowed || (own ^ letters(&other)).count_ones() as usize > 2 * allowed;
        if far {
            continue;
        }
        let Some(distance) = slips(&name, &other, allowed) else { continue };
        // A word of two letters has neighbours everywhere.
        let tells = distance == 0 || (other.len() > 2 && distance < other.len());
        if tells && best.is_none_or(|known| (distance, candidate) < known) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Which letters occur, as bits: one slip changes at most two of them.
fn letters(word: &[char]) -> u64 {
    word.iter().fold(0, |bits, letter| bits | 1 << (u32::from(*letter) % 64))
}

/// How many slips (a letter lost, added, exchanged, or two neighbours swapped) lie between two words; `None`: more than `allowed`.
fn slips(mut a: &[char], mut b: &[char], allowed: usize) -> Option<usize> {
    while let ([first, rest @ ..], [other, others @ ..]) = (a, b)
        && first == other
    {
        (a, b) = (rest, others);
    }
    while let ([rest @ .., last], [others @ .., other]) = (a, b)
        && last == other
    {
        (a, b) = (rest, others);
    }
    // Three rows of the usual table, for optimal string alignment.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (row, letter) in a.iter().enumerate() {
        let mut here = Vec::with_capacity(above.len());
        here.push(row + 1);
        for (column, other) in b.iter().enumerate() {
            let at = |list: &[usize], at: usize| list.get(at).copied().unwrap_or(usize::MAX - 1);
            let exchanged = at(&above, column) + usize::from(letter != other);
            let mut least = exchanged.min(at(&above, column + 1) + 1).min(at(&here, column) + 1);
            let swapped = row > 0 && column > 0 && a.get(row - 1) == Some(other) && b.get(column - 1) == Some(letter);
            if swapped {
                least = least.min(at(&before, column - 1) + 1);
            }
            here.push(least);
        }
        if here.iter().min().is_some_and(|least| *least > allowed) && above.iter().all(|old| *old > allowed) {
            return None;
        }
        (before, above) = (above, here);
    }
    above.last().copied().filter(|distance| *distance <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_as_the_reference_does() {
        let mut state = 3u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for _ in 0..20_000 {
            let mut word = || (0..random(8)).map(|_| char::from(b"abc"[random(3) as usize])).collect::<String>();
            let (a, b) = (word(), word());
            let letters: [Vec<char>; 2] = [&a, &b].map(|word| word.chars().collect());
            let expected = Some(strsim::osa_distance(&a, &b)).filter(|distance| *distance <= 3);
            assert_eq!(slips(&letters[0], &letters[1], 3), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_closest_name_is_a_slip_away() {
        let names = ["userland-proxy", "networks", "containers"];
        assert_eq!(closest("userland_proxy", names), Some("userland-proxy"));
        assert_eq!(closest("Networks", names), Some("networks"));
        assert_eq!(closest("volumes", names), None);
        assert_eq!(closest("x", ["tcp"]), None);
        assert_eq!(closest(&"a".repeat(1 << 20), names), None);
    }
}
