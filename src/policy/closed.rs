//! How flows end: closed by an allow or a default, open by a default, or left to the platform.

use crate::policy::{Action, Flow, Judgement, Policy, Rank};
use crate::syntax::tree::View;

/// What becomes of connections of a flow that no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The platform decides.
    Platform,
    /// A default allows them.
    Open,
    /// They are denied.
    Closed(Extent),
}

/// Which connections of a flow end in deny. From the host and from containers, a container's own address is a flow of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of them.
    Whole,
    /// Those to an address of this host.
    HostAddresses,
    /// Those to a container's own address.
    OwnAddresses,
}

impl End {
    /// Whether connections to an address of this host end in deny, and those to a container's own address.
    #[must_use]
    pub fn closes(self) -> [bool; 2] {
        match self {
            Self::Closed(Extent::Whole) => [true, true],
            Self::Closed(Extent::HostAddresses) => [true, false],
            Self::Closed(Extent::OwnAddresses) => [false, true],
            Self::Platform | Self::Open => [false, false],
        }
    }
}

impl Judgement {
    /// Whether it is a default that decides about every packet of its flow.
    #[must_use]
    pub fn is_unconditional(&self) -> bool {
        self.rank == Rank::Default
            && self.action != Action::Log
            && self.from.is_whole_class()
            && self.to.is_whole_class()
            && self.via.is_none()
            && self.family.is_none()
            && self.traffic.contains(&crate::policy::Traffic::ALL)
            && self.options.limit.is_none()
            && self.options.during.is_none()
            && self.options.source_ports.is_none()
    }

    /// The part of its flow that this deny ends, if it is one that an allow implies. What a `forward` implies ends no flow.
    fn extent(&self) -> Option<Extent> {
        if self.rank != Rank::End || self.to.addresses.is_some() {
            None
        } else if self.leaves_own_addresses {
            Some(Extent::HostAddresses)
        } else if self.to.view == Some(View::Direct) {
            Some(Extent::OwnAddresses)
        } else {
            Some(Extent::Whole)
        }
    }
}

impl Policy {
    /// Whether a flow has log lines and nothing that decides.
    #[must_use]
    pub fn only_logs(&self, flow: Flow) -> bool {
        let list = self.flows.get(&flow).map(Vec::as_slice).unwrap_or_default();
        !list.is_empty() && list.iter().all(|judgement| judgement.action == Action::Log)
    }

    /// Whether a statement of the policy decides about connections of a flow.
    #[must_use]
    pub fn governs(&self, flow: Flow) -> bool {
        self.flows.contains_key(&flow) && !self.only_logs(flow)
    }

    /// How a flow ends.
    #[must_use]
    pub fn end(&self, flow: Flow) -> End {
        let list = self.flows.get(&flow).map(Vec::as_slice).unwrap_or_default();
        match list.iter().find(|judgement| judgement.is_unconditional()).map(|default| default.action) {
            Some(Action::Allow) => End::Open,
            Some(_) => End::Closed(Extent::Whole),
            None => list.iter().find_map(Judgement::extent).map_or(End::Platform, End::Closed),
        }
    }
}
