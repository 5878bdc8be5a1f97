//! Questions to counters have the same numbers in a policy's rules and in what is written of them, however those are divided.

use fwc::database::Database;
use fwc::netfilter::Target;

use crate::fixture;

#[track_caller]
fn is_proved(policy: &str) {
    for target in [Target::Iptables, Target::Nft] {
        let mut db = Database::default();
        let input = fixture::load(&mut db, &[(fixture::POLICY.to_owned(), policy.to_owned())], Some(target));
        let (_, compiled) = db.compile_once(input, "site", &[], true);
        assert_eq!(compiled.disagreement, None, "{policy}");
        let errors = compiled.diagnostics.iter().filter(|one| one.is_error() || one.code.number == "FW0606");
        let messages: Vec<&str> = errors.map(|one| &*one.message).collect();
        assert_eq!(messages, [""; 0], "{target:?}: {policy}");
    }
}

#[test]
fn a_rule_that_no_packet_comes_to_counts_for_nothing() {
    is_proved(
        "interface vpn = { eth0, ppp+ }
log ssh from any
reject with tcp-reset { dns, ping, protocol ah } from any via vpn
",
    );
}

#[test]
fn a_chain_is_in_its_place_whatever_the_other_family_leads_there() {
    is_proved(
        "use docker
container web on bridge address 172.18.0.5 publish tcp 7000-7010 publish tcp 5432 at 127.0.0.1
deny tcp 65535 to not { host, host } log \"accept\"
",
    );
}

#[test]
fn many_interfaces_leave_what_is_behind_them_apart() {
    is_proved(
        "use docker
use incus
use prelude except established
container web287 on bridge address 172.18.0.5 publish tcp 7000-7010
reject with network-prohibited { tcp 22, 80, 443, udp 53, 123 } from world to any
reject with host-unreachable ping from not host during 00:00-24:00 log level notice
",
    );
}
