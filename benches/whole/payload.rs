//! Four images with 400 MB of preloaded files: laid into the base once, and each node baked over that.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pibake::bake::{Clock, LargeFile, Shared, Size};
use pibake::disk::{FileDevice, ReadAt};
use pibake::image_path::ImagePath;
use pibake::io::CancelToken;
use pibake::node_paths::PAYLOAD;
use pibake::progress::Silent;
use pibake::sink::{Build, Format};

use crate::bake::{recipes, timed};
use crate::copies::in_turn;
use crate::process::shell;
use crate::report::{Report, Row};
use crate::work::{Work, clear};

/// Files of the payload, of about the sizes that packages and archives of images have.
const FILES: u64 = 40;
const FILE: usize = 10_000_000;
/// The target, as a share of what copying takes.
const TARGET: f64 = 1.5;
const CLOCK: &Clock = &Clock::new(1_700_000_000);

pub fn payload(work: &Work, report: &mut Report) {
    let base = work.large();
    let scratch = work.scratch();
    let at = |name: &str| scratch.path().join(name);
    let (files, ours, peer) = (make_files(&at("files")), at("ours"), at("peer"));
    let recipes = recipes(scratch.path());
    let device: Arc<dyn ReadAt> = Arc::new(FileDevice::open(&base.raw).expect("the base"));
    let lay = || {
        let large: Vec<LargeFile<'_>> = files.iter().map(|file| large_file(file)).collect();
        let store = tempfile::tempfile_in(scratch.path()).expect("a nameless file");
        let (base, below) = (Arc::clone(&device), Shared::default());
        Shared::lay(base, &below, Size::default(), &large, store, CLOCK).expect("room in the base")
    };
    let build = || {
        clear(&ours);
        let run = timed(|| {
            let shared = lay();
            let names = recipes.iter().map(|recipe| recipe.node.to_string()).collect();
            let build =
                Build::prepare(&ours, Format::Raw, names, None, &CancelToken::default()).expect("a folder");
            let bake = |node: &str| {
                let recipe = recipes.iter().find(|recipe| *recipe.node == *node).expect("a node");
                let baked = pibake::bake::bake(Arc::clone(&device), &shared, recipe, Size::default(), CLOCK);
                Ok(baked.expect("a bake").0)
            };
            build.finish(&base.raw, &bake, &Silent).expect("four images");
        });
        clear(&ours);
        run
    };
    // the base and the files, four times each
    let copy = || {
        clear(&peer);
        let script = "for n in 1 2 3 4; do cp --sparse=always \"$1\" \"$2/node-$n.img\"; cp -r \"$3\" \"$2/files-$n\"; done; sync \"$2\"/node-?.img \"$2\"/files-?/*";
        let run = shell(&peer, script, &[&base.raw, &peer, &at("files")]);
        clear(&peer);
        run
    };
    let (a, b) = in_turn(work, build, copy);
    let beside = "4 cp --sparse=always of the base and of the files, sync";
    report.row(Row::times("four images with 400 MB preloaded", beside, TARGET, &a, &b));
}

/// Makes the folder, with files in it whose bytes no file system leaves out.
pub fn make_files(dir: &Path) -> Vec<PathBuf> {
    std::fs::create_dir(dir).expect("a folder");
    let mut state = 1_u64;
    let mut bytes = vec![0; FILE];
    let path = |n| dir.join(format!("file-{n}.deb"));
    (0..FILES)
        .map(|n| {
            for word in bytes.chunks_exact_mut(8) {
                // xorshift64, by Marsaglia
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            let mut file = File::create(path(n)).expect("a file");
            file.write_all(&bytes).and_then(|()| file.sync_all()).expect("room for it");
            path(n)
        })
        .collect()
}

fn large_file(file: &Path) -> LargeFile<'_> {
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
    LargeFile {
        path: ImagePath::new(format!("{PAYLOAD}/{name}")).expect("a path"),
        len: FILE as u64,
        open: Box::new(move || -> io::Result<Box<dyn io::Read>> { Ok(Box::new(File::open(file)?)) }),
    }
}
