//! Artifacts: what unpacking and packing take, from and to a disk and a store behind a network, against the floor
//! and against others.
//!
//! Everything that is timed runs as a process of its own, in turn with the others, on a tree made from a seed. The
//! counts (instructions, system calls, bytes, memory) do not depend on what else the machine does: they are what
//! is gated.

mod fixtures;
mod gate;
mod meter;
mod peers;
mod store;
mod survey;
mod worker;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use fixtures::{Fixture, Kind};
use meter::Used;
use peers::{OURS, Peer, own, packers, unpackers};
use store::SlowStore;
use tempfile::TempDir;

pub(crate) use meter::{MEASURED, measure as measured, wrapper};
pub(crate) use worker::{WORKER, main as worker};

use crate::figure::{Figure, median, ratios};
use crate::programs::run;

/// Bytes in a second that the network lets through: what a Lambda function had for years.
const NETWORK: f64 = 75e6;
/// The memory of the functions that move whole trees, in `template.yaml`: two processors.
const MEMORY: &str = "3538";
/// The least that Lambda gives.
const LITTLE_MEMORY: &str = "128";

/// The environment that `template.yaml` gives all functions.
const ENVIRONMENT: [(&str, &str); 2] = [
    ("MALLOC_ARENA_MAX", "2"),
    ("MALLOC_TRIM_THRESHOLD_", "131072"),
];

/// How it is to be measured.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Where trees and archives are made; needs about 4 GB. Default: /dev/shm where there is one
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// Fail if a count is worse than what is written down in tests/bench/gate.json
    #[arg(long)]
    gate: bool,
}

pub(crate) fn measure(options: &Options, quick: bool) -> anyhow::Result<Vec<Figure>> {
    let scratch = scratch(options)?;
    let bench = Bench { scratch, quick };
    let main = bench.fixture(if quick { Kind::Small } else { Kind::Npm })?;
    let counted = bench.fixture(Kind::Few)?;
    let mut figures = Vec::new();
    let archive = bench.packed(&main)?;
    bench.say_what_is_kept(&counted)?;
    figures.push(bench.unpack(&main, &archive)?);
    let counts = bench.counts(&counted)?;
    figures.extend(counts.figures());
    figures.extend(bench.get(&main, &archive)?);
    let (packing, quick_peers) = bench.pack(&main)?;
    figures.push(packing);
    figures.extend(bench.put(&main, &quick_peers)?);
    if !quick {
        bench.others()?;
    }
    if options.gate {
        gate::check(&counts, &figures)?;
    }
    Ok(figures)
}

fn scratch(options: &Options) -> anyhow::Result<TempDir> {
    let shared = Path::new("/dev/shm");
    let directory = match &options.scratch {
        Some(directory) => directory.clone(),
        None if shared.is_dir() => shared.to_owned(),
        None => std::env::temp_dir(),
    };
    tempfile::Builder::new()
        .prefix("towpath-bench-")
        .tempdir_in(&directory)
        .with_context(|| format!("failed to make a directory in {}", directory.display()))
}

struct Bench {
    scratch: TempDir,
    quick: bool,
}

/// What a program came to in each round.
type Rounds = BTreeMap<&'static str, Vec<Used>>;

/// Counts that are the same at every run.
pub(crate) struct Counts {
    pub(crate) unpack_instructions: Option<f64>,
    pub(crate) pack_instructions: Option<f64>,
    pub(crate) syscalls_per_file: Option<f64>,
    pub(crate) bytes_beside: Option<u64>,
    pub(crate) packed_bytes: u64,
    pub(crate) packed_sha256: String,
}

impl Counts {
    fn figures(&self) -> Vec<Figure> {
        let one = |name, unit, goal, value: Option<f64>| {
            value.map(|value| Figure::median(name, unit, goal, vec![value]))
        };
        [
            one("syscalls_per_file", "", "≤ 3.5", self.syscalls_per_file),
            one(
                "peak_disk_beside_tree_bytes",
                "B",
                "0",
                self.bytes_beside.map(|bytes| bytes as f64),
            ),
            one("unpack_instructions_m", "M", "", self.unpack_instructions),
            one("pack_instructions_m", "M", "", self.pack_instructions),
            one("packed_bytes", "B", "", Some(self.packed_bytes as f64)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Bench {
    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn rounds(&self, full: usize) -> usize {
        if self.quick { 1 } else { full }
    }

    fn fixture(&self, kind: Kind) -> anyhow::Result<Fixture> {
        let fixture = fixtures::make(kind, self.scratch.path())?;
        eprintln!(
            "{}: {} files, {:.1} MB",
            fixture.name,
            fixture.files,
            fixture.bytes as f64 / 1e6
        );
        Ok(fixture)
    }

    /// The archive that everybody unpacks.
    fn packed(&self, fixture: &Fixture) -> anyhow::Result<PathBuf> {
        let archive = self.path(&format!("{}.zip", fixture.name));
        let ours = &packers("2")[0];
        run(&mut ours.command(&fixture.tree, &archive))?;
        Ok(archive)
    }

    /// A place that is not there yet, and another one each time: what a file system still has to do for what was
    /// deleted must not be the next one's.
    fn fresh(&self, name: &str) -> anyhow::Result<PathBuf> {
        let directory = tempfile::Builder::new()
            .prefix(name)
            .tempdir_in(self.scratch.path())?;
        let path = directory.keep();
        fs::remove_dir(&path)?;
        Ok(path)
    }

    fn unpack_once(&self, peer: &Peer, archive: &Path) -> anyhow::Result<(Used, PathBuf)> {
        let into = self.fresh("tree-")?;
        if peer.name == "bsdtar" {
            fs::create_dir(&into)?;
        }
        let used = meter::measure(&peer.command(archive, &into))?;
        Ok((used, into))
    }

    /// What each program makes of a tree with modes and links: who is compared does not do the same.
    fn say_what_is_kept(&self, fixture: &Fixture) -> anyhow::Result<()> {
        let archive = self.packed(fixture)?;
        let expected = survey::of(&fixture.tree)?;
        for peer in unpackers("2") {
            let (_, tree) = self.unpack_once(&peer, &archive)?;
            let found = survey::of(&tree)?;
            let differs = expected.differs(&found);
            if peer.name == OURS {
                ensure!(differs.is_empty(), "we lose {}", differs.join(", "));
            } else if !differs.is_empty() {
                eprintln!("{} does not keep {}", peer.name, differs.join(", "));
            }
            fs::remove_dir_all(tree)?;
        }
        Ok(())
    }

    fn unpack(&self, fixture: &Fixture, archive: &Path) -> anyhow::Result<Figure> {
        let peers = unpackers("2");
        let (mut rounds, mut floors) = (Rounds::new(), Vec::new());
        for _ in 0..self.rounds(5) {
            let into = self.fresh("floor-")?;
            floors.push(printed(own(&["floor-unpack"]).arg(archive).arg(&into))?);
            fs::remove_dir_all(into)?;
            for peer in &peers {
                let (used, tree) = self.unpack_once(peer, archive)?;
                rounds.entry(peer.name).or_default().push(used);
                fs::remove_dir_all(tree)?;
            }
        }
        let figure = over_floor("unpack_cpu_over_floor", "≤ 1.10", &rounds, &floors)?;
        table(&format!("unpack {}", fixture.name), &rounds, Some(&floors));
        Ok(figure)
    }

    /// Also those who pack in less than thrice our time.
    fn pack(&self, fixture: &Fixture) -> anyhow::Result<(Figure, Vec<&'static str>)> {
        let peers = packers("2");
        let (mut rounds, mut floors) = (Rounds::new(), Vec::new());
        for _ in 0..self.rounds(3) {
            floors.push(printed(own(&["floor-pack"]).arg(&fixture.tree))?);
            for peer in &peers {
                let archive = self.path("packed.zip");
                let used = meter::measure(&peer.command(&fixture.tree, &archive))?;
                rounds.entry(peer.name).or_default().push(used);
                if rounds[peer.name].len() == 1 {
                    let size = fs::metadata(&archive)?.len() as f64 / 1e6;
                    eprintln!("{}: {} packs to {size:.1} MB", fixture.name, peer.name);
                }
                fs::remove_file(archive)?;
            }
        }
        let figure = over_floor("pack_cpu_over_floor", "≤ 1.15", &rounds, &floors)?;
        table(&format!("pack {}", fixture.name), &rounds, Some(&floors));
        let wall = |used: &[Used]| median(&used.iter().map(|used| used.wall_s).collect::<Vec<_>>());
        let ours = wall(&rounds[OURS]);
        let quick = rounds
            .iter()
            .filter(|(_, used)| wall(used) < 3.0 * ours)
            .map(|(name, _)| *name)
            .collect();
        Ok((figure, quick))
    }

    fn counts(&self, fixture: &Fixture) -> anyhow::Result<Counts> {
        let archive = self.path("counted.zip");
        let digest = printed_text(&mut packers("1")[0].command(&fixture.tree, &archive))?;
        let one = &unpackers("1")[0];
        let scratch = self.scratch.path();
        let calls = {
            let into = self.fresh("traced-")?;
            meter::system_calls(&unpackers("2")[0].command(&archive, &into), scratch)?
        };
        let into = self.fresh("counted-")?;
        let unpack_instructions = meter::instructions(&one.command(&archive, &into), scratch)?;
        let again = self.path("again.zip");
        let pack_instructions =
            meter::instructions(&packers("1")[0].command(&fixture.tree, &again), scratch)?;
        let server = SlowStore::start(1e9)?;
        server.keep("/bench/counted", &archive)?;
        let home = self.fresh("fetched-")?;
        fs::create_dir(&home)?;
        let mut get = own(&["get", &server.endpoint(), "counted"]);
        get.arg(home.join("tree")).arg(MEMORY);
        let mut put = own(&["put", &server.endpoint(), "stored"]);
        put.arg(&fixture.tree).arg(MEMORY).envs(ENVIRONMENT);
        let beside = meter::bytes_beside(&get, &home, scratch)?
            .zip(meter::bytes_beside(&put, &home, scratch)?)
            .map(|(get, put)| get + put);
        Ok(Counts {
            unpack_instructions,
            pack_instructions,
            syscalls_per_file: calls.map(|calls| calls as f64 / fixture.files as f64),
            bytes_beside: beside,
            packed_bytes: fs::metadata(&archive)?.len(),
            packed_sha256: digest,
        })
    }

    fn get(&self, fixture: &Fixture, archive: &Path) -> anyhow::Result<Vec<Figure>> {
        let server = SlowStore::start(NETWORK)?;
        server.keep("/bench/object", archive)?;
        let floor = fs::metadata(archive)?.len() as f64 / NETWORK;
        let address = server.address.to_string();
        let peers = unpackers("2");
        let mut rounds = Rounds::new();
        for _ in 0..self.rounds(5) {
            for (name, memory) in [(OURS, MEMORY), ("with 128 MB", LITTLE_MEMORY)] {
                let into = self.fresh("fetched-")?;
                let mut get = own(&["get", &server.endpoint(), "object"]);
                get.arg(&into).arg(memory).envs(ENVIRONMENT);
                rounds.entry(name).or_default().push(meter::measure(&get)?);
                fs::remove_dir_all(into)?;
            }
            // The others need the archive on disk first.
            for peer in peers
                .iter()
                .filter(|peer| ["ripunzip", "unzip", "Python zipfile"].contains(&peer.name))
            {
                let file = self.path("downloaded.zip");
                let mut download = own(&["download", &address, "/bench/object"]);
                let fetched = meter::measure(download.arg(&file))?;
                let (unpacked, tree) = self.unpack_once(peer, &file)?;
                rounds
                    .entry(peer.name)
                    .or_default()
                    .push(fetched.then(unpacked));
                fs::remove_dir_all(tree)?;
                fs::remove_file(file)?;
            }
        }
        table(
            &format!(
                "get and unpack {} at 75 MB/s; the network alone {floor:.2} s",
                fixture.name
            ),
            &rounds,
            None,
        );
        let walls: Vec<f64> = rounds[OURS]
            .iter()
            .map(|used| used.wall_s / floor)
            .collect();
        let best = best_peer(&rounds, |used| used.wall_s);
        let mut over = Figure::median("get_unpack_over_network_floor", "×", "≤ 1.10", walls);
        if let Some((peer, wall)) = best {
            over = over.against(peer, wall / floor);
        }
        Ok(vec![
            over,
            memory("peak_memory_get_mb", "≤ 64", &rounds[OURS]),
            memory("peak_memory_get_128_mb", "≤ 26", &rounds["with 128 MB"]),
        ])
    }

    fn put(&self, fixture: &Fixture, quick: &[&str]) -> anyhow::Result<Vec<Figure>> {
        let server = SlowStore::start(NETWORK)?;
        let address = server.address.to_string();
        let peers = packers("2");
        let mut rounds = Rounds::new();
        for _ in 0..self.rounds(3) {
            let mut put = own(&["put", &server.endpoint(), "object"]);
            put.arg(&fixture.tree).arg(MEMORY).envs(ENVIRONMENT);
            rounds.entry(OURS).or_default().push(meter::measure(&put)?);
            let stored = server.taken("/bench/object");
            ensure!(stored > 0, "nothing was stored");
            // Who takes so long to pack is not the best of them.
            for peer in peers
                .iter()
                .filter(|peer| peer.name != OURS && quick.contains(&peer.name))
            {
                let file = self.path("packed.zip");
                let packed = meter::measure(&peer.command(&fixture.tree, &file))?;
                let mut upload = own(&["upload", &address, "/bench/object"]);
                let sent = meter::measure(upload.arg(&file))?;
                rounds.entry(peer.name).or_default().push(packed.then(sent));
                fs::remove_file(file)?;
                server.taken("/bench/object");
            }
        }
        table(
            &format!("pack and put {} at 75 MB/s", fixture.name),
            &rounds,
            None,
        );
        let best: Vec<f64> = (0..rounds[OURS].len())
            .map(|round| {
                rounds
                    .iter()
                    .filter(|(name, _)| **name != OURS)
                    .map(|(_, used)| used[round].wall_s)
                    .fold(f64::INFINITY, f64::min)
            })
            .collect();
        let ours: Vec<f64> = rounds[OURS].iter().map(|used| used.wall_s).collect();
        let name = best_peer(&rounds, |used| used.wall_s).map_or("nobody", |(name, _)| name);
        Ok(vec![
            Figure::median(
                "pack_put_speedup_over_best_peer",
                "×",
                "≥ 2",
                ratios(&best, &ours),
            )
            .against(name, 1.0),
            memory("peak_memory_put_mb", "≤ 80", &rounds[OURS]),
        ])
    }

    /// The other trees: for the tables alone.
    fn others(&self) -> anyhow::Result<()> {
        for kind in [Kind::Many, Kind::Large, Kind::Media, Kind::Tiny] {
            let fixture = self.fixture(kind)?;
            let archive = self.packed(&fixture)?;
            let (mut unpacked, mut packed) = (Rounds::new(), Rounds::new());
            let rounds = if fixture.bytes > 1 << 28 { 1 } else { 3 };
            for _ in 0..rounds {
                for peer in unpackers("2") {
                    // What holds all of it in memory twice is measured on the small trees.
                    if peer.name == "Node adm-zip" && fixture.bytes > 1 << 28 {
                        continue;
                    }
                    let (used, tree) = self.unpack_once(&peer, &archive)?;
                    unpacked.entry(peer.name).or_default().push(used);
                    fs::remove_dir_all(tree)?;
                }
                for peer in packers("2") {
                    if peer.name == "Node adm-zip" && fixture.bytes > 1 << 28 {
                        continue;
                    }
                    let file = self.path("packed.zip");
                    let used = meter::measure(&peer.command(&fixture.tree, &file))?;
                    packed.entry(peer.name).or_default().push(used);
                    fs::remove_file(file)?;
                }
            }
            table(&format!("unpack {}", fixture.name), &unpacked, None);
            table(&format!("pack {}", fixture.name), &packed, None);
            fs::remove_dir_all(&fixture.tree)?;
            fs::remove_file(&archive)?;
        }
        Ok(())
    }
}

/// What each program took: the least and the middle, and how many times ours.
fn table(title: &str, rounds: &Rounds, floors: Option<&[f64]>) {
    let mut text = format!("\n{title}\n");
    let column = |used: &[Used], pick: fn(&Used) -> f64| -> (f64, f64) {
        let values: Vec<f64> = used.iter().map(pick).collect();
        (
            values.iter().copied().fold(f64::INFINITY, f64::min),
            median(&values),
        )
    };
    let ours = column(&rounds[OURS], |used| used.wall_s).1;
    let _ = writeln!(
        text,
        "  {:<16} {:>15} {:>8} {:>15} {:>9}",
        "", "wall s", "", "CPU s", "peak MB"
    );
    if let Some(floors) = floors {
        let least = floors.iter().copied().fold(f64::INFINITY, f64::min);
        let _ = writeln!(
            text,
            "  {:<16} {:>15} {:>8} {least:>7.2} {:>7.2}",
            "the floor",
            "",
            "",
            median(floors)
        );
    }
    for (name, used) in rounds {
        let (wall, cpu) = (
            column(used, |used| used.wall_s),
            column(used, |used| used.cpu_s),
        );
        let peak = column(used, |used| used.peak_mb).1;
        let _ = writeln!(
            text,
            "  {name:<16} {:>7.2} {:>7.2} {:>7.2}× {:>7.2} {:>7.2} {peak:>9.1}",
            wall.0,
            wall.1,
            wall.1 / ours,
            cpu.0,
            cpu.1
        );
    }
    eprint!("{text}");
}
impl Used {
    /// One after the other.
    fn then(self, next: Self) -> Self {
        Self {
            wall_s: self.wall_s + next.wall_s,
            cpu_s: self.cpu_s + next.cpu_s,
            peak_mb: self.peak_mb.max(next.peak_mb),
        }
    }
}

fn over_floor(
    name: &'static str,
    goal: &'static str,
    rounds: &Rounds,
    floors: &[f64],
) -> anyhow::Result<Figure> {
    let ours: Vec<f64> = rounds[OURS].iter().map(|used| used.cpu_s).collect();
    let figure = Figure::median(name, "×", goal, ratios(&ours, floors));
    let best = best_peer(rounds, |used| used.cpu_s).context("no peer")?;
    Ok(figure.against(best.0, best.1 / median(floors)))
}

/// The peer with the least of something, in the middle of its rounds.
fn best_peer(rounds: &Rounds, pick: fn(&Used) -> f64) -> Option<(&'static str, f64)> {
    rounds
        .iter()
        .filter(|(name, _)| **name != OURS && !name.starts_with("with "))
        .map(|(name, used)| (*name, median(&used.iter().map(pick).collect::<Vec<_>>())))
        .min_by(|one, two| one.1.total_cmp(&two.1))
}

fn memory(name: &'static str, goal: &'static str, used: &[Used]) -> Figure {
    // The most is what a function must have.
    let rounds: Vec<f64> = used.iter().map(|used| used.peak_mb).collect();
    let most = rounds.iter().copied().fold(0.0, f64::max);
    Figure {
        value: most,
        ..Figure::median(name, "MB", goal, rounds)
    }
}

/// The number that a worker prints.
fn printed(command: &mut Command) -> anyhow::Result<f64> {
    let text = printed_text(command)?;
    text.parse()
        .with_context(|| format!("not a number: {text}"))
}

fn printed_text(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
