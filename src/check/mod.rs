//! What a policy says that it cannot mean, or should not: one file for each check. A check reads the resolved policy and gives
//! diagnostics; it changes nothing.

pub mod absent_interface;
pub mod apart;
pub mod bridges_leave_world;
pub mod carried_away;
pub mod closed_by_via;
pub mod container_ports;
pub mod direct;
pub mod docker_proxy;
pub mod hairpin;
pub mod host_network;
pub mod icmp_state;
pub mod known_holes;
pub mod left_open;
pub mod lockout;
pub mod no_bridge;
pub mod node_ports;
pub mod opens_host_port;
pub mod overlap;
pub mod overridden;
pub mod own_address;
pub mod podman_beside_docker;
pub mod published_port;
mod roads;
pub mod same_bridge;
pub mod late;
pub mod limits;
pub mod options;
pub mod raw;
pub mod masquerade_order;
pub mod second_manager;
pub mod starved;
pub mod swarm;
pub mod tracking;
mod words;

use crate::diagnostic::{Code, Diagnostic};
use crate::netfilter::Target;
use crate::policy::Policy;
use crate::project::Project;

/// Every check, in the order in which they run.
const CHECKS: &[fn(&Policy, Target) -> Vec<Diagnostic>] = &[
    published_port::check,
    apart::check,
    carried_away::check,
    left_open::check,
    docker_proxy::check,
    container_ports::check,
    direct::check,
    hairpin::check,
    host_network::check,
    icmp_state::check,
    masquerade_order::check,
    opens_host_port::check,
    no_bridge::check,
    overlap::check,
    overridden::check,
    podman_beside_docker::check,
    same_bridge::check,
    swarm::check,
    tracking::check,
];

/// A check that looks at the source as well.
type WordCheck = fn(&Project, &Policy, Target) -> Vec<Diagnostic>;

/// Every check that also looks at the words that the policy was written in: for the places of options, and for what the
/// policy has forgotten.
const WORD_CHECKS: &[WordCheck] = &[
    second_manager::check,
    absent_interface::check,
    bridges_leave_world::check,
    known_holes::check,
    node_ports::check,
    own_address::check,
    options::check,
    lockout::check,
    closed_by_via::check,
    starved::check,
    late::check,
    limits::check,
    raw::check,
];

/// Every code that checks give.
pub static CODES: &[&Code] = &[
    &published_port::PUBLISHED_PORT,
    &published_port::PUBLISHED_PORT_AMONG,
    &docker_proxy::PROXIED_ROAD_OPEN,
    &docker_proxy::HOST_AND_CONTAINER_DISAGREE,
    &container_ports::PORT_ON_THE_WRONG_SIDE,
    &direct::DIRECT_DROPPED,
    &direct::DIRECT_MAY_BE_DROPPED,
    &absent_interface::ABSENT_INTERFACE,
    &hairpin::HAIRPIN,
    &host_network::HOST_NETWORK_LEFT,
    &icmp_state::ICMP_NEVER_EVALUATED,
    &known_holes::KNOWN_HOLE,
    &known_holes::POSSIBLE_HOLE,
    &node_ports::NODE_PORT_OF_HOST,
    &node_ports::POSSIBLE_NODE_PORT,
    &own_address::POSSIBLE_OWN_ADDRESS,
    &masquerade_order::MASQUERADE_ORDER,
    &opens_host_port::OPENS_HOST_PORT,
    &bridges_leave_world::BRIDGES_LEAVE_WORLD,
    &no_bridge::NO_BRIDGE,
    &overlap::OVERLAPPING_DEFAULTS,
    &apart::INTERFACES_APART,
    &carried_away::CARRIED_AWAY,
    &left_open::LEFT_OPEN,
    &overridden::LIBVIRT_REJECTS,
    &podman_beside_docker::PODMAN_BESIDE_DOCKER,
    &same_bridge::SAME_BRIDGE,
    &second_manager::SECOND_MANAGER,
    &second_manager::MANAGER_DROPS,
    &swarm::SWARM_KEEPS_PORT,
    &tracking::NAT_WITHOUT_TRACKING,
    &tracking::UNTRACKED_BY_ROUTE,
    &tracking::UNTRACKED_ANSWERS_DENIED,
    &options::LIMIT_WITHOUT_ALLOW,
    &options::CARD_OF_HOST,
    &options::SOURCE_PORT_OF_WHAT,
    &options::ALWAYS,
    &options::LOG_RATE_HIGH,
    &lockout::LOCKOUT,
    &closed_by_via::CLOSED_BY_VIA,
    &late::TOO_LATE,
    &late::REDUNDANT,
    &late::DUPLICATE_RULE,
    &late::CONTRADICTORY_DEFAULT,
    &starved::STARVED,
    &starved::NO_DHCP_CLIENT,
    &limits::LOG_PREFIX_TOO_LONG,
    &limits::COMMENT_TOO_LONG,
    &limits::SET_NAME_TOO_LONG,
    &limits::TEXT_CHANGED,
    &limits::NFT_VARIABLE,
    &limits::MARK_RESERVED,
    &limits::CHAIN_NAME_CUT,
    &limits::UNUSABLE_NAME,
    &raw::codes::NO_SUCH_CHAIN,
    &raw::codes::COMMAND,
    &raw::codes::FOREIGN_CHAIN,
    &raw::codes::UNKNOWN_TARGET,
    &raw::codes::NEVER_REACHED,
    &raw::codes::PORT_WITHOUT_PROTOCOL,
    &raw::codes::WRONG_DIRECTION,
    &raw::codes::WRONG_PLACE,
    &raw::codes::TOO_MANY_PORTS,
    &raw::codes::BYPASSED,
    &raw::codes::PORT_AFTER_NAT,
    &raw::codes::WITHOUT_DIRECTION,
    &raw::codes::OLD_STATE_MATCH,
    &raw::codes::OPENS_UNPUBLISHED,
    &raw::codes::LOG_WITHOUT_LIMIT,
    &raw::codes::OTHER_BACK_END,
    &raw::codes::NOT_READ,
    &raw::codes::BOTH_FAMILIES,
    &raw::codes::UNCLOSED_QUOTE,
    &raw::codes::OVERRIDDEN_ACCEPT,
    &raw::codes::REFUSED,
];

/// Runs every check on a policy that is to be built for `target`. Between two of them it is asked whether the work was given up; None if
/// it was.
#[must_use]
pub fn run(
    project: &Project,
    policy: &Policy,
    target: Target,
    is_given_up: &dyn Fn() -> bool,
) -> Option<Vec<Diagnostic>> {
    let of_policy = CHECKS.iter().map(|check| check(policy, target));
    let of_words = WORD_CHECKS.iter().map(|check| check(project, policy, target));
    let mut out = Vec::new();
    for mut found in of_policy.chain(of_words) {
        out.append(&mut found);
        if is_given_up() {
            return None;
        }
    }
    Some(out)
}
