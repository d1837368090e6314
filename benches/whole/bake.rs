//! One node: from its recipe to an overlay that was read back.

use std::sync::Arc;
use std::time::Instant;

use pibake::bake::{Clock, Shared, Size};
use pibake::cluster::{Overrides, Platform};
use pibake::disk::{FileDevice, OVERLAY_BLOCK, ReadAt};
use pibake::project::Project;
use pibake::recipe::Recipe;

use crate::kernel;
use crate::process::Run;
use crate::report::{Report, Row};
use crate::work::Work;

/// The limit for one node, in seconds.
const LIMIT: f64 = 0.050;

/// More rounds than for whole processes: each takes milliseconds.
const TIMES: usize = 4;

/// How long it takes.
pub fn timed(what: impl FnOnce()) -> Run {
    let cpu = || {
        let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
    };
    let (began, spent) = (Instant::now(), cpu());
    what();
    Run { wall: began.elapsed().as_secs_f64(), cpu: cpu() - spent, peak: 0 }
}

pub fn bake(work: &Work, report: &mut Report) {
    let base = work.large();
    let scratch = work.scratch();
    let recipes = recipes(scratch.path());
    let first = &recipes[0];
    let device: Arc<dyn ReadAt> = Arc::new(FileDevice::open(&base.raw).expect("the base"));
    let bake = |recipe: &Recipe| {
        timed(|| {
            let (patch, _) = pibake::bake::bake(
                Arc::clone(&device),
                &Shared::default(),
                recipe,
                Size::default(),
                const { &Clock::new(1_700_000_000) },
            )
            .expect("a bake");
            assert!(
                patch.ranges().total() > OVERLAY_BLOCK as u64 * recipe.changes.len() as u64,
                "too little was baked"
            );
        })
    };
    let rounds = work.rounds * TIMES;
    bake(first);
    let name = format!("bake node-1: {} changes, read back", first.changes.len());
    if rustix::process::geteuid().is_root() {
        let kernel = kernel::Kernel::new(&base.raw, scratch.path());
        let (ours, peer): (Vec<_>, Vec<_>) =
            (0..rounds).map(|_| (bake(first), timed(|| kernel.apply(first)))).unzip();
        report.row(Row::times(&name, kernel.name(), None, &ours, &peer));
    } else {
        report.skip("bake beside loop mounts", "mounting needs root");
    }
    for recipe in &recipes[..2] {
        let name = format!("bake {}: {} changes, read back", recipe.node, recipe.changes.len());
        let runs: Vec<Run> = (0..rounds).map(|_| bake(recipe)).collect();
        report.row(Row::limit_time(&name, LIMIT, &runs, |r| r.wall));
        report.row(Row::limit_time(&format!("{name}, processor time"), LIMIT, &runs, |r| r.cpu));
    }
}

/// What a plain cluster of four asks for.
pub fn recipes(dir: &std::path::Path) -> Vec<Recipe> {
    let file = dir.join("pibake.toml");
    std::fs::write(&file, "nodes = 4\n").expect("a description");
    let project = Project::open(Some(&file), &Overrides::default()).expect("a project");
    project.recipes(&Platform::named("20.04").expect("a platform")).expect("recipes").into_values().collect()
}
