//! The roads that connections take: from where, through which hooks, with which translation, to whom.

use std::net::IpAddr;

use super::geography::{Geography, cards, named};
use super::reach::{Piece, reach};
use super::way::{Stop, Ways, changes, stretch};
use crate::hooks::{self, Tracking, openers};
use crate::host::Host;
use crate::host::words::address_number;
use crate::net::{Family, Protocol};
use crate::netfilter::{Hook, MarkWord, Verdict};
use crate::packet::field::{Assigned, Word, name_number};
use crate::packet::{Bits, Cube, Field, Universe, Values};
use crate::policy::{Class, Published};
use crate::program::{Does, Event, Place, Program};
use crate::prove::cover::{Budget, Spent, Stretch, all_left_over};
use crate::traffic;

/// A road, and the packets that get to its end.
#[derive(Debug)]
pub(super) struct Road {
    /// Where they come from.
    pub(super) from: Class,
    /// Where they go.
    pub(super) to: Class,
    /// The hook that judges them.
    pub(super) hook: Hook,
    /// The packets that set out on it.
    pub(super) regions: Vec<Cube>,
    /// Packets that cannot be: what is said of the others may be said of them, too.
    pub(super) never: Vec<Cube>,
    /// What was translated, and by which rule.
    pub(super) translation: Option<Translation>,
    /// Fields whose values are not known of the packets.
    pub(super) soft: Vec<Field>,
    /// The packets that arrive.
    pub(super) pieces: Vec<Piece>,
}

/// A translated destination.
#[derive(Clone, Debug)]
pub(super) struct Translation {
    /// The rule; `None`: the platform's, which is not there.
    pub(super) place: Option<Place>,
    /// What a container publishes, as facts say it.
    pub(super) published: Option<Published>,
    /// The new address, if it is known.
    pub(super) address: Option<IpAddr>,
    /// Words that are not known decide where it goes.
    pub(super) unknown: bool,
    /// A proxy of the platform takes the connection in; nothing is translated.
    pub(super) proxied: bool,
    /// Whatever containers publish: no fact says what.
    pub(super) anything: bool,
}

/// What was found of one family.
#[derive(Debug, Default)]
pub(super) struct Roads {
    pub(super) roads: Vec<Road>,
    /// Roads of which it is not known.
    pub(super) unknown: Vec<String>,
}

/// Ports of a publication that lead to others by a shift: beyond this, which leads to which is not told.
const SHIFTED: u16 = 1024;

pub(super) struct Surveyor<'h, 'w> {
    pub(super) ways: &'w mut Ways<'h>,
    pub(super) geography: &'w Geography,
    pub(super) family: Family,
    pub(super) effort: u64,
    pub(super) found: Roads,
}

/// Open at neither end: all are narrowed.
fn narrowed(cube: Cube, parts: impl IntoIterator<Item = (Field, Values)>) -> Option<Cube> {
    parts.into_iter().try_fold(cube, |cube, (field, values)| cube.with(field, values))
}

fn flag(field: Field, value: u128) -> (Field, Values) {
    (field, Values::single(value))
}

impl<'h> Surveyor<'h, '_> {
    fn universe(&self) -> &Universe {
        &self.ways.space.universe
    }

    fn host(&self) -> &'h Host {
        self.ways.host
    }

    /// What first packets have in common: SYN alone is set in TCP, and no mark, unless a chain on their way sets one. What others than
    /// the recorded rules give connections for marks is not known.
    fn base(&self, hooks: &[Hook]) -> Option<Cube> {
        let universe = self.universe();
        let mut parts = vec![flag(Field::MULTICAST, 0), flag(Field::BROADCAST, 0)];
        let flags = universe.flags(Bits { value: 0x02, mask: 0xff });
        parts.extend(flags.into_iter().map(|(field, value)| flag(field, value)));
        let changed = self.ways.marks_changed(hooks);
        let unmarked = universe.no_marks().into_iter().filter(|(field, _)| !changed.contains(field));
        let known = |field: Field| {
            let word = universe.bits(field, 0).map(|(word, _)| word);
            self.host().recorded || word != Some(Word::Mark(MarkWord::Connection))
        };
        parts.extend(unmarked.filter(|(field, _)| known(*field)).map(|(field, value)| flag(field, value)));
        narrowed(Cube::all(), parts)
    }

    /// The cubes of a region that open connections, and what is left out of it for that.
    fn opening(&self, region: &Cube) -> (Vec<Cube>, Vec<Cube>) {
        let cubes = openers(region, 0, &self.ways.space);
        let icmp = if self.family == Family::Ipv4 { Protocol::ICMP } else { Protocol::ICMPV6 };
        let opening = cubes.iter().find_map(|cube| cube.get(Field::ICMP)).cloned();
        let others = opening.and_then(|opening| self.universe().complement(Field::ICMP, &opening));
        let never = others.and_then(|others| {
            narrowed(region.clone(), [flag(Field::PROTOCOL, u128::from(icmp.0)), (Field::ICMP, others)])
        });
        (cubes, never.into_iter().collect())
    }

    /// All roads from one kind of place.
    pub(super) fn from(&mut self, from: Class, to: &[Class]) {
        if from == Class::Host {
            self.outward();
            return;
        }
        let Some(cards) = self.geography.cards_of(from).cloned() else { return };
        let hooks = [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Postrouting];
        let arriving = self.base(&hooks).and_then(|cube| self.not_by_taps(cube));
        let arriving =
            arriving.and_then(|cube| narrowed(cube, [flag(Field::SOURCE_LOCAL, 0), (Field::IN_INTERFACE, cards)]));
        let Some(arriving) = arriving else { return };
        self.attempt(from, Class::Host, |own| own.plain_to_host(from, &arriving, to));
        for behind in self.geography.routed.clone() {
            if to.contains(&behind.class)
                && (behind.class != from || from == Class::Outside || to.contains(&Class::Host))
            {
                self.attempt(from, behind.class, |own| own.routed(from, &arriving, &behind));
            }
        }
        self.attempt(from, Class::Outside, |own| own.translated(from, &arriving, to));
        if !self.host().recorded && from == Class::Outside && to.contains(&Class::Container) {
            self.attempt(from, Class::Container, |own| own.published(from, &arriving));
        }
    }

    /// What guests send that are bound to a bridge by a card of their own comes from no other place.
    fn not_by_taps(&self, cube: Cube) -> Option<Cube> {
        let gates = self.host().policy.iter().flat_map(|policy| &policy.gates);
        let taps: Vec<_> = gates.flat_map(|gate| &*gate.cards).cloned().collect();
        let others =
            |field| cards(&taps).and_then(|taps| self.universe().complement(field, &taps)).map(|rest| (field, rest));
        narrowed(cube, [Field::IN_PORT, Field::OUT_PORT].into_iter().filter_map(others))
    }

    /// Walks a road; says so where the work is not worth it.
    fn attempt(&mut self, from: Class, to: Class, walk: impl FnOnce(&mut Self) -> Result<(), Spent>) {
        if walk(self).is_ok() {
            return;
        }
        let said = format!(
            "{}, from {from} to {to}: the search was given up, since too many rules overlap; what is open there is not known",
            self.family
        );
        if !self.found.unknown.contains(&said) {
            self.found.unknown.push(said);
        }
    }

    fn stops(&mut self, hooks: &[Hook], world: Tracking) -> Result<Vec<std::rc::Rc<Stop>>, Spent> {
        self.ways.stops(hooks, world).ok_or(Spent)
    }

    /// The chains that translate, as what keeps packets from staying as they are.
    fn untranslated(&mut self) -> Result<Option<Program>, Spent> {
        let program = std::mem::take(&mut self.ways.translations);
        let whole = program.complete;
        let translates = program.steps.iter().any(|step| changes(&self.ways.space, step));
        let guard = translates.then(|| self.ways.keeping(&program, |ways, step| changes(&ways.space, step)));
        self.ways.translations = program;
        if whole { Ok(guard) } else { Err(Spent) }
    }

    /// What arrives at a hook untranslated: tracked, and left out of tracking.
    fn walk(
        &mut self,
        from: Class,
        to: Class,
        hooks: &[Hook],
        region: &Cube,
        proxied: Option<&Published>,
    ) -> Result<(), Spent> {
        let mut budget = Budget::new(self.effort);
        let (cubes, mut never) = self.opening(region);
        let arrives = hooks.contains(&Hook::Prerouting);
        if arrives {
            never.extend(self.taken_elsewhere(&cubes, &mut budget)?);
        }
        let untracked = if arrives { self.untracked(&cubes, &mut budget)? } else { Vec::new() };
        let tracked = cubes.iter().flat_map(|cube| {
            untracked.iter().fold(vec![cube.clone()], |rest, out| {
                rest.into_iter()
                    .flat_map(|cube| if cube.meets(out) { cube.difference(out, self.universe()) } else { vec![cube] })
                    .collect()
            })
        });
        let tracked: Vec<Cube> = tracked.collect();
        let guard = if arrives { self.untranslated()? } else { None };
        let mut pieces = Vec::new();
        for (tracks, regions) in [(true, tracked), (false, untracked)] {
            if regions.is_empty() {
                continue;
            }
            let stops = self.stops(hooks, Tracking { tracked: tracks, ..Tracking::NEW })?;
            let before: Vec<Stretch<'_>> = guard.iter().filter(|_| tracks).map(stretch).collect();
            pieces.extend(reach(self.ways, &regions, &stops, &before, &mut budget)?);
        }
        let translation = proxied.map(|one| Translation {
            place: None,
            published: Some(one.clone()),
            address: None,
            unknown: false,
            proxied: true,
            anything: false,
        });
        let hook = hooks.get(usize::from(arrives)).copied().unwrap_or(Hook::Output);
        let soft = Vec::new();
        self.found.roads.push(Road { from, to, hook, regions: cubes, never, translation, soft, pieces });
        Ok(())
    }

    /// Packets of cubes that a rule gives another destination.
    fn taken_elsewhere(&self, cubes: &[Cube], budget: &mut Budget) -> Result<Vec<Cube>, Spent> {
        let program = &self.ways.translations;
        let mut found = Vec::new();
        for (number, step) in (0u32..).zip(&program.steps).filter(|(_, step)| changes(&self.ways.space, step)) {
            let own = [Stretch { program, from: 0, to: number, events: false }];
            for both in cubes.iter().filter_map(|cube| cube.intersection(&step.cube)) {
                found.extend(all_left_over(&both, &own, self.universe(), budget)?);
            }
        }
        Ok(found)
    }

    /// Packets of cubes that a rule leaves out of tracking.
    fn untracked(&self, cubes: &[Cube], budget: &mut Budget) -> Result<Vec<Cube>, Spent> {
        let mut found: Vec<Cube> = Vec::new();
        for (program, steps) in self.ways.untracking() {
            for number in steps {
                let Some(step) = program.step(number) else { continue };
                let before = [Stretch { program, from: 0, to: number, events: false }];
                for both in cubes.iter().filter_map(|cube| cube.intersection(&step.cube)) {
                    for cube in all_left_over(&both, &before, self.universe(), budget)? {
                        let fresh = found.iter().fold(vec![cube], |rest, known| {
                            rest.into_iter().flat_map(|cube| cube.difference(known, self.universe())).collect()
                        });
                        found.extend(fresh);
                    }
                }
            }
        }
        Ok(found)
    }

    /// To this machine itself. What Docker publishes does not come here where it is certain to be translated; elsewhere a proxy may take
    /// it in.
    fn plain_to_host(&mut self, from: Class, arriving: &Cube, to: &[Class]) -> Result<(), Spent> {
        if !to.contains(&Class::Host) {
            return Ok(());
        }
        let own = self.geography.here.clone();
        let region = narrowed(arriving.clone(), [flag(Field::LOCAL, 1), (Field::DESTINATION, own)]);
        let Some(region) = region else { return Ok(()) };
        let hooks = hooks::INGRESS;
        let before = self.found.roads.len();
        self.walk(from, Class::Host, &hooks, &region, None)?;
        let host = self.host();
        let Some(policy) = host.policy.as_ref().filter(|_| from == Class::Outside) else { return Ok(()) };
        for one in &policy.containers.published {
            let translated = !host.recorded && traffic::translated(policy, one, self.family);
            let Some(cube) = dialled(one, self.family) else { continue };
            if translated || traffic::may_proxy(policy) {
                self.take_out(before, &cube);
            }
            if !translated
                && traffic::may_proxy(policy)
                && let Some(region) = region.intersection(&cube)
            {
                self.walk(from, Class::Container, &hooks, &region, Some(one))?;
            }
        }
        Ok(())
    }

    /// Takes packets out of roads: they never come there.
    fn take_out(&mut self, from: usize, cube: &Cube) {
        let universe = self.ways.space.universe.clone();
        let rest = |list: Vec<Cube>| -> Vec<Cube> {
            list.into_iter()
                .flat_map(|one| if one.meets(cube) { one.difference(cube, &universe) } else { vec![one] })
                .collect()
        };
        for road in self.found.roads.iter_mut().skip(from).filter(|road| road.to == Class::Host) {
            road.never.extend(road.regions.iter().filter_map(|region| region.intersection(cube)));
            road.regions = rest(std::mem::take(&mut road.regions));
            let pieces = std::mem::take(&mut road.pieces);
            for piece in pieces {
                let cubes = rest(vec![piece.cube.clone()]);
                road.pieces.extend(cubes.into_iter().map(|cube| Piece { cube, ..piece.clone() }));
            }
        }
    }

    /// Through this machine, untranslated.
    fn routed(&mut self, from: Class, arriving: &Cube, behind: &super::geography::Behind) -> Result<(), Spent> {
        let parts = [
            flag(Field::LOCAL, 0),
            (Field::DESTINATION, behind.destinations.clone()),
            (Field::OUT_INTERFACE, behind.cards.clone()),
        ];
        let Some(region) = narrowed(arriving.clone(), parts) else { return Ok(()) };
        self.walk(from, behind.class, &hooks::FORWARD, &region, None)
    }

    /// What rules translate on arrival.
    fn translated(&mut self, from: Class, arriving: &Cube, to: &[Class]) -> Result<(), Spent> {
        let stops = self.stops(&[Hook::Prerouting], Tracking::NEW)?;
        let program = std::mem::take(&mut self.ways.translations);
        let result = self.translations(from, arriving, to, &program, &stops);
        self.ways.translations = program;
        result
    }

    fn translations(
        &mut self,
        from: Class,
        arriving: &Cube,
        to: &[Class],
        program: &Program,
        stops: &[std::rc::Rc<Stop>],
    ) -> Result<(), Spent> {
        if !program.complete {
            return Err(Spent);
        }
        let steps = (0u32..).zip(&program.steps).filter(|(_, step)| changes(&self.ways.space, step));
        let steps: Vec<u32> = steps.map(|(number, _)| number).collect();
        let regions: Vec<Cube> = [1, 0]
            .into_iter()
            .filter_map(|local| {
                let destinations = match (&self.geography.own, local) {
                    (_, 1) => self.geography.here.clone(),
                    (Some(own), _) => self.geography.unicast().difference(own)?,
                    _ => self.geography.unicast(),
                };
                narrowed(arriving.clone(), [flag(Field::LOCAL, local), (Field::DESTINATION, destinations)])
            })
            .flat_map(|region| self.opening(&region).0)
            .collect();
        for number in steps {
            let mut budget = Budget::new(self.effort);
            let Some(step) = program.step(number) else { continue };
            let own = Stretch { program, from: 0, to: number, events: false };
            let stretches: Vec<Stretch<'_>> =
                std::iter::once(own).chain(stops.iter().filter_map(|stop| stop.stretch())).collect();
            let mut arrived = Vec::new();
            for both in regions.iter().filter_map(|region| region.intersection(&step.cube)) {
                arrived.extend(all_left_over(&both, &stretches, self.universe(), &mut budget)?);
            }
            let untracked = self.untracked(&arrived, &mut budget)?;
            let tracked = arrived.into_iter().flat_map(|cube| {
                untracked.iter().fold(vec![cube], |rest, out| {
                    rest.into_iter().flat_map(|cube| cube.difference(out, self.universe())).collect()
                })
            });
            let arrived: Vec<Cube> = tracked.collect();
            if let Does::Decide(event) = step.does
                && let Event::Verdict(verdict) = self.ways.space.event(event).clone()
            {
                let marked: Vec<Cube> = arrived.iter().map(|cube| with_marks(cube, program.marks_at(number))).collect();
                self.onward(from, to, &verdict, step.place, &marked, &mut budget)?;
            }
        }
        Ok(())
    }

    /// Goes on with what a rule translated.
    fn onward(
        &mut self,
        from: Class,
        to: &[Class],
        verdict: &Verdict,
        place: Place,
        arrived: &[Cube],
        budget: &mut Budget,
    ) -> Result<(), Spent> {
        let (address, port, unknown) = match verdict {
            Verdict::Drop | Verdict::Reject(_) => return Ok(()),
            Verdict::Dnat { address, port } => (Some(*address), *port, false),
            Verdict::Redirect(port) => (None, Some(*port), false),
            _ => (None, None, true),
        };
        let translation =
            Translation { place: Some(place), published: None, address, unknown, proxied: false, anything: false };
        let apart = address.is_some() || matches!(verdict, Verdict::Redirect(_)) || unknown;
        let world = Tracking { address_apart: apart, port_apart: port.is_some() || unknown, ..Tracking::TRANSLATED };
        let mut cubes = Vec::new();
        for cube in arrived {
            cubes.extend(rewritten(cube, world, address.map(address_number), port.map(u128::from)));
        }
        let local = matches!(verdict, Verdict::Redirect(_))
            || address.is_some_and(|address| self.host().cards.links.iter().any(|link| link.own == Some(address)));
        if local || unknown {
            let here = cubes.iter().filter_map(|cube| narrowed(cube.clone(), [flag(Field::LOCAL, 1)])).collect();
            if to.contains(&Class::Host) {
                self.arrive(from, Class::Host, Hook::Input, world, here, translation.clone(), Vec::new(), budget)?;
            }
            if local {
                return Ok(());
            }
        }
        let card = address.and_then(|address| self.host().cards.behind(address)).and_then(|link| link.card.clone());
        let card = card.or_else(|| self.host().cards.default_route.clone().filter(|_| address.is_some()));
        let (out, soft, class) = match &card {
            Some(card) => (Values::single(name_number(card)), Vec::new(), self.geography.class_of(card)),
            None => (named(), vec![Field::OUT_INTERFACE, Field::DESTINATION], Class::Outside),
        };
        if !to.contains(&class) {
            return Ok(());
        }
        let parts = [flag(Field::LOCAL, 0), (Field::OUT_INTERFACE, out)];
        let there = cubes.into_iter().filter_map(|cube| narrowed(cube, parts.clone())).collect();
        self.arrive(from, class, Hook::Forward, world, there, translation, soft, budget)
    }

    #[allow(clippy::too_many_arguments)]
    fn arrive(
        &mut self,
        from: Class,
        to: Class,
        hook: Hook,
        world: Tracking,
        regions: Vec<Cube>,
        translation: Translation,
        soft: Vec<Field>,
        budget: &mut Budget,
    ) -> Result<(), Spent> {
        if regions.is_empty() {
            return Ok(());
        }
        let hooks: &[Hook] = if hook == Hook::Input { &[Hook::Input] } else { &[Hook::Forward, Hook::Postrouting] };
        let stops = self.stops(hooks, world)?;
        let pieces = reach(self.ways, &regions, &stops, &[], budget)?;
        self.found.roads.push(Road {
            from,
            to,
            hook,
            regions,
            never: Vec::new(),
            translation: Some(translation),
            soft,
            pieces,
        });
        Ok(())
    }

    /// What containers publish, where the platform's own rules are not there to be read.
    fn published(&mut self, from: Class, arriving: &Cube) -> Result<(), Spent> {
        let host = self.ways.host;
        let Some(policy) = &host.policy else { return Ok(()) };
        let own = self.geography.here.clone();
        let Some(arriving) = narrowed(arriving.clone(), [flag(Field::LOCAL, 1), (Field::DESTINATION, own)]) else {
            return Ok(());
        };
        let guard = self.untranslated()?;
        let stops = self.stops(&[Hook::Prerouting], Tracking::NEW)?;
        self.anything(from, &arriving, guard.as_ref())?;
        for one in &policy.containers.published {
            let proxied = !traffic::translated(policy, one, self.family);
            let ip6tables_off = self.family == Family::Ipv6 && traffic::ip6tables(policy) == Some(false);
            if proxied && (traffic::iptables_off(policy) || ip6tables_off) {
                continue;
            }
            let mut budget = Budget::new(self.effort);
            let before: Vec<Stretch<'_>> =
                stops.iter().filter_map(|stop| stop.stretch()).chain(guard.iter().map(stretch)).collect();
            for (dialled, own) in publications(one, self.family) {
                let Some(region) = arriving.intersection(&dialled) else { continue };
                let arrived = all_left_over(&region, &before, self.universe(), &mut budget)?;
                let world = Tracking { port_apart: own.is_some(), ..Tracking::TRANSLATED };
                let cubes = arrived.iter().filter_map(|cube| rewritten(cube, world, None, own));
                let (card, addresses) = self.lies(one);
                let cards = card.or_else(|| self.geography.cards_of(Class::Container).cloned()).unwrap_or_else(named);
                let mut parts = vec![flag(Field::LOCAL, 0), (Field::OUT_INTERFACE, cards)];
                parts.extend(addresses.map(|addresses| (Field::DESTINATION, addresses)));
                let there = cubes.filter_map(|cube| narrowed(cube, parts.clone())).collect();
                let translation = Translation {
                    place: None,
                    published: Some(one.clone()),
                    address: None,
                    unknown: false,
                    proxied: false,
                    anything: false,
                };
                let soft = vec![Field::OUT_INTERFACE, Field::DESTINATION];
                self.arrive(from, Class::Container, Hook::Forward, world, there, translation, soft, &mut budget)?;
            }
        }
        Ok(())
    }

    /// Whatever containers publish, where no fact says what that is.
    fn anything(&mut self, from: Class, arriving: &Cube, guard: Option<&Program>) -> Result<(), Spent> {
        let unknown = self.host().policy.as_ref().is_some_and(|policy| {
            policy.containers.used && traffic::ports_unknown(policy) && !traffic::iptables_off(policy)
        });
        let protocols =
            [Protocol::TCP, Protocol::UDP, Protocol::SCTP].map(|one| (u128::from(one.0), u128::from(one.0)));
        let (true, Some(protocols)) = (unknown, Values::union(protocols)) else { return Ok(()) };
        let Some(region) = narrowed(arriving.clone(), [(Field::PROTOCOL, protocols)]) else { return Ok(()) };
        let mut budget = Budget::new(self.effort);
        let stops = self.stops(&[Hook::Prerouting], Tracking::NEW)?;
        let before: Vec<Stretch<'_>> =
            stops.iter().filter_map(|stop| stop.stretch()).chain(guard.map(stretch)).collect();
        let arrived = all_left_over(&region, &before, self.universe(), &mut budget)?;
        let world = Tracking::TRANSLATED;
        let cards = self.geography.cards_of(Class::Container).cloned().unwrap_or_else(named);
        let parts =
            [flag(Field::LOCAL, 0), (Field::OUT_INTERFACE, cards), (Field::ORIGINAL_PORT, Values::range((0, 65_535)))];
        let cubes = arrived.iter().filter_map(|cube| rewritten(cube, world, None, None));
        let there = cubes.filter_map(|cube| narrowed(cube, parts.clone())).collect();
        let translation =
            Translation { place: None, published: None, address: None, unknown: false, proxied: false, anything: true };
        let soft = vec![Field::OUT_INTERFACE, Field::DESTINATION, Field::DESTINATION_PORT];
        self.arrive(from, Class::Container, Hook::Forward, world, there, translation, soft, &mut budget)
    }

    /// The bridge and the addresses of a container that publishes something, as far as they are known.
    fn lies(&self, one: &Published) -> (Option<Values>, Option<Values>) {
        let Some(policy) = &self.host().policy else { return (None, None) };
        let Some((container, networks)) = traffic::container(policy, &one.container) else {
            return (None, None);
        };
        let bridges: Vec<&String> = networks.iter().filter_map(|network| network.bridge.as_ref()).collect();
        let all = !networks.is_empty() && bridges.len() == networks.len();
        let cards = Values::union(bridges.iter().map(|name| (name_number(name), name_number(name)))).filter(|_| all);
        let own = container.addresses.iter().filter(|address| Family::of(**address) == self.family);
        let addresses = Values::union(own.map(|address| (address_number(*address), address_number(*address))));
        (cards, addresses)
    }

    /// What this machine sends.
    fn outward(&mut self) {
        let hooks = hooks::EGRESS;
        let Some(base) = self.base(&hooks) else { return };
        for behind in self.geography.routed.clone() {
            let parts = [
                flag(Field::SOURCE_LOCAL, 1),
                flag(Field::LOCAL, 0),
                (Field::DESTINATION, behind.destinations.clone()),
                (Field::OUT_INTERFACE, behind.cards.clone()),
            ];
            let Some(region) = narrowed(base.clone(), parts) else { continue };
            self.attempt(Class::Host, behind.class, |own| own.walk(Class::Host, behind.class, &hooks, &region, None));
        }
    }
}

/// A cube whose marks hold what rules made of them.
fn with_marks(cube: &Cube, marks: &[(Field, Assigned)]) -> Cube {
    marks.iter().fold(cube.clone(), |after, (field, assigned)| {
        let value = match assigned {
            Assigned::Value(value) => Some(*value),
            Assigned::Of(other, flip) => cube.get(*other).and_then(Values::only).map(|value| value ^ flip),
            Assigned::Open => None,
        };
        after.replaced(*field, value.map(Values::single))
    })
}

/// A cube after its destination was translated.
fn rewritten(cube: &Cube, world: Tracking, address: Option<u128>, port: Option<u128>) -> Option<Cube> {
    let mut after = cube.replaced(Field::LOCAL, None);
    let moves = [
        (Field::DESTINATION, Field::ORIGINAL_DESTINATION, address, world.address_apart),
        (Field::DESTINATION_PORT, Field::ORIGINAL_PORT, port, world.port_apart),
    ];
    for (header, dialled, value, apart) in moves {
        if !apart {
            continue;
        }
        let before = after.get(header).cloned();
        after = after.replaced(header, value.map(Values::single));
        if let Some(before) = before {
            after = after.with(dialled, before)?;
        }
    }
    Some(after)
}

fn range(ports: crate::net::PortRange) -> Values {
    Values::range((u128::from(ports.first), u128::from(ports.last)))
}

/// The packets that a client sends to what is published; `None` if none of the family are.
fn dialled(one: &Published, family: Family) -> Option<Cube> {
    if one.only_family().is_some_and(|only| only != family) {
        return None;
    }
    let mut parts =
        vec![flag(Field::PROTOCOL, u128::from(one.protocol.0)), (Field::DESTINATION_PORT, range(one.ports))];
    parts.extend(one.address.map(|address| flag(Field::DESTINATION, address_number(address))));
    narrowed(Cube::all(), parts)
}

/// The packets that a publication translates, and the port that they get; `None`: they keep theirs.
fn publications(one: &Published, family: Family) -> Vec<(Cube, Option<u128>)> {
    let Some(whole) = dialled(one, family) else { return Vec::new() };
    if one.ingress || one.ports == one.container_ports {
        return vec![(whole, None)];
    }
    if one.container_ports.first == one.container_ports.last {
        return vec![(whole, Some(u128::from(one.container_ports.first)))];
    }
    let ports = (one.ports.first..=one.ports.last).take(usize::from(SHIFTED)).zip(one.container_ports.first..);
    let each = ports.filter_map(|(dialled, own)| {
        let cube = narrowed(whole.clone(), [flag(Field::DESTINATION_PORT, u128::from(dialled))])?;
        Some((cube, Some(u128::from(own))))
    });
    each.collect()
}
