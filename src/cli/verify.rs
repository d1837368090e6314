//! `pibake verify IMAGE|DEVICE|FLEET`

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use super::baked::baked;
use super::description::Description;
use super::fleets::{self, FleetFlags};
use super::json::{self, Baked, Differing, OrdinaryChange, VerifiedCard};
use super::named::look;
use super::session::Session;
use crate::cluster::Node;
use crate::error::{Classified, Doing, ErrorClass, Failure};
use crate::fleet::FleetName;
use crate::identity::Identity;
use crate::image_reader::ImageReader;
use crate::io::read_small;
use crate::ui::visible_line;
use crate::workflow::image::Looked;
use crate::workflow::verify::{Difference, Promised, Verified, read_bill, recipe, verify};
use crate::workflow::{Described, Medium, NodeSelector, bill_name};

/// A bill has a few hundred bytes for each package and each file.
const BILL_MAX: u64 = 64 << 20;

#[derive(Debug, Args)]
#[command(
    long_about = "Read a card or an image back, and name all that is not as it was baked.\n\nEvery file of the node's \
                  recipe is compared with what the description and .pibake make of it now, and with the bill that was \
                  written with the image; preloaded packages and images are read in full. What a node does with its own \
                  card, such as erasing its token, is told and is no difference. Nothing is written.\n\nWith --bill, and for a \
                  node in a registry, no description is needed; links and what is in files with secrets are not compared then.",
    after_help = "Examples:\n  \
                  pibake verify images/node-1.img               an image\n  \
                  pibake verify /dev/sdX                        a card, fresh or out of a node\n  \
                  pibake verify images/node-2.img --bill images/node-2.spdx.json\n\n\
                  Exit codes: 0 all is as it was baked; 3 something is not; others as ever."
)]
pub(super) struct Arguments {
    /// An image, raw, qcow2 or compressed, the device of a card reader, or oci://REGISTRY/NAME[:TAG]#NODE
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,
    /// Which node it must be, by number or name [default: the one that it says it is]
    #[arg(long, value_name = "N")]
    node: Option<NodeSelector>,
    /// Compare with this bill alone: no description is needed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "node")]
    bill: Option<PathBuf>,
    #[command(flatten)]
    description: Description,
    #[command(flatten)]
    fleet: FleetFlags,
}

pub(super) fn run(arguments: &Arguments, session: &Session) -> Result<(), Failure> {
    session.listen()?;
    let mut report = Report::default();
    // a node in a registry comes with its bill, lest somebody pushes between the two
    let mut pushed = None;
    let looked = match fleets::named(&arguments.image)? {
        Some(name) => fleets::look(&name, &arguments.fleet, session).map(|(looked, bill)| {
            pushed = Some((name, bill));
            looked
        }),
        None => look(&arguments.image, session),
    };
    let image = match looked {
        // it is not what anybody wrote
        Err(fault) if fault.class() == ErrorClass::Damaged => {
            report.verified.differences.push(Difference::unreadable("the image", fault.error()));
            return report.end(arguments, session);
        }
        looked => looked.doing(|| format!("opening {}", arguments.image.display()))?,
    };
    let Looked { image, .. } = &image;
    let said = match baked(image) {
        Ok(said) => said,
        Err(fault) => {
            report.verified.differences.push(Difference::unreadable("the image", fault.error()));
            return report.end(arguments, session);
        }
    };
    report.node = said.as_ref().map(|said| said.node.clone());
    let promised = match (&arguments.bill, &pushed) {
        (Some(path), _) => report.only_bill(path, said.as_ref())?,
        (None, Some((name, bill))) => report.bill_of(name, bill, said.as_ref())?,
        (None, None) => report.described(arguments, image, said.as_ref(), session)?,
    };
    if let Some(promised) = promised {
        let found = verify(image, &promised, &session.control)?;
        report.recipe = promised.recipe.is_some();
        report.add(found);
    }
    report.end(arguments, session)
}

/// What came of it.
#[derive(Default)]
struct Report {
    node: Option<String>,
    made_by: Option<String>,
    recipe: bool,
    bill: Option<PathBuf>,
    verified: Verified,
}

impl Report {
    /// What is promised by a bill alone.
    fn only_bill(&mut self, path: &Path, said: Option<&Baked>) -> Result<Option<Promised>, Failure> {
        let bill = read(path)?;
        self.bill = Some(path.to_owned());
        self.is_of(&bill.node, said);
        Ok(Some(Promised { recipe: None, bill: Some(bill) }))
    }

    /// What is promised by the bill that lies in the registry with a node.
    fn bill_of(
        &mut self,
        name: &FleetName,
        text: &[u8],
        said: Option<&Baked>,
    ) -> Result<Option<Promised>, Failure> {
        let bill = read_bill(text).doing(|| format!("reading the bill in {name}"))?;
        self.bill = Some(PathBuf::from(name.to_string()));
        self.is_of(&bill.node, said);
        Ok(Some(Promised { recipe: None, bill: Some(bill) }))
    }

    /// What is promised by the description, and by the bill where there is one; `None` where it is a card of another
    /// cluster, of which nothing is promised here.
    fn described(
        &mut self,
        arguments: &Arguments,
        image: &ImageReader,
        said: Option<&Baked>,
        session: &Session,
    ) -> Result<Option<Promised>, Failure> {
        let described = arguments.description.open(session)?;
        let project = &described.project;
        let Some(identity) = project.existing_identity()? else {
            return Err(Failure::usage(format!(
                "there is no {}, so it is not known what the card must be: name the description of its cluster with -C, \
                 or its bill with --bill",
                project.store().dir().display()
            )));
        };
        if let Some(difference) = said.and_then(|said| other_cluster(said, &identity)) {
            self.verified.differences.push(difference);
            return Ok(None);
        }
        let Some(node) = self.node_of(arguments, &described, said)? else { return Ok(None) };
        self.is_of(node.name.as_str(), said);
        self.made_by = said.and_then(|said| said.pibake.clone());
        let recipe = match recipe(project, node, image, &arguments.image) {
            Err(fault) if fault.class() == ErrorClass::Damaged => {
                self.verified.differences.push(Difference::unreadable("the image", &fault));
                return Ok(None);
            }
            recipe => recipe?,
        };
        let bill = match beside(&arguments.image, node.name.as_str(), &project.place.images) {
            Some(path) => {
                let bill = read(&path)?;
                self.bill = Some(path);
                Some(bill)
            }
            None => None,
        };
        Ok(Some(Promised { recipe, bill }))
    }

    /// The node that the card must be; `None` where it does not say which, and nobody else does.
    fn node_of<'d>(
        &mut self,
        arguments: &Arguments,
        described: &'d Described,
        said: Option<&Baked>,
    ) -> Result<Option<&'d Node>, Failure> {
        let cluster = &described.project.cluster;
        match (&arguments.node, said) {
            (Some(selector), _) => Ok(Some(selector.find(cluster)?)),
            (None, Some(said)) => Ok(Some(NodeSelector::Name(said.node.clone()).find(cluster)?)),
            (None, None) => {
                self.verified.differences.push(Difference {
                    path: "the image".to_owned(),
                    what: "it does not say which node it is, as all that pibake bakes do: name the node with --node to \
                           compare it all the same"
                        .to_owned(),
                });
                Ok(None)
            }
        }
    }

    /// Notes where the card says that it is another node.
    fn is_of(&mut self, node: &str, said: Option<&Baked>) {
        if let Some(said) = said.filter(|said| said.node != node) {
            let what = format!("it is of {}, and not of {node}", said.node);
            self.verified.differences.push(Difference { path: "the image".to_owned(), what });
        }
        self.node.get_or_insert_with(|| node.to_owned());
    }

    fn add(&mut self, found: Verified) {
        let known = std::mem::take(&mut self.verified.differences);
        self.verified = found;
        self.verified.differences.splice(0..0, known);
    }

    /// Says what came of it; an error where something differs.
    fn end(self, arguments: &Arguments, session: &Session) -> Result<(), Failure> {
        let Verified { is_used, compared, differences, ordinary, open } = &self.verified;
        let (bill, bill_base64) = self.bill.as_ref().map(json::text).unzip();
        let document = VerifiedCard {
            node: self.node.clone(),
            used: *is_used,
            recipe: self.recipe,
            bill,
            bill_base64: bill_base64.flatten(),
            compared: *compared as u64,
            differences: differences
                .iter()
                .map(|one| Differing { path: one.path.clone(), what: one.what.clone() })
                .collect(),
            ordinary: ordinary
                .iter()
                .map(|one| OrdinaryChange {
                    path: one.path.clone(),
                    what: one.what.clone(),
                    why: one.why.to_owned(),
                })
                .collect(),
            not_compared: open.clone(),
        };
        session.result(&document, || self.text(&arguments.image))?;
        let count = differences.len();
        if count == 0 {
            return Ok(());
        }
        let (are, s) = if count == 1 { ("is", "") } else { ("are", "s") };
        let mut text = format!(
            "{} is not as it was baked: {count} difference{s} {are} named above",
            arguments.image.display()
        );
        let own = env!("CARGO_PKG_VERSION");
        if let Some(other) = self.made_by.as_ref().filter(|by| self.recipe && by.as_str() != own) {
            text += &format!("; it was made by pibake {other}, and this is {own}, which may bake otherwise");
        }
        Err(Failure::new(ErrorClass::Verification, text))
    }

    /// One line for each finding.
    fn text(&self, image: &Path) -> String {
        let Verified { is_used, compared, differences, ordinary, open } = &self.verified;
        let mut text = String::new();
        for Difference { path, what } in differences {
            // writing to a String does not fail
            let _ = writeln!(text, "different  {}", visible_line(&format!("{path}: {what}")));
        }
        for one in ordinary {
            let line = format!("{}: {} ({})", one.path, one.what, one.why);
            let _ = writeln!(text, "by the node  {}", visible_line(&line));
        }
        for what in open {
            let _ = writeln!(text, "not compared  {}", visible_line(what));
        }
        if differences.is_empty() {
            let node = self.node.clone().unwrap_or_default();
            let by = match (self.recipe, &self.bill) {
                (true, Some(bill)) => format!("the description and {}", bill.display()),
                (true, None) => "the description; there is no bill of it".to_owned(),
                (false, Some(bill)) => bill.display().to_string(),
                (false, None) => String::new(),
            };
            let life = if *is_used { ", apart from what the node did with it" } else { "" };
            let line =
                format!("{} is {node}, as it was baked{life}: {compared} files, by {by}", image.display());
            let _ = writeln!(text, "{}", visible_line(&line));
        }
        text
    }
}

/// What to say of a card that is of another cluster than the one with this identity.
fn other_cluster(said: &Baked, own: &Identity) -> Option<Difference> {
    let theirs = said.ca_hash.as_ref().filter(|hash| **hash != own.ca_hash)?;
    let name = said.cluster.as_ref().map_or_else(String::new, |name| format!(" {name:?}"));
    Some(Difference {
        path: "the image".to_owned(),
        what: format!(
            "it is {} of another cluster{name}, whose CA has the hash {theirs}; that of this one, {:?}, has {}",
            said.node, own.cluster, own.ca_hash
        ),
    })
}

/// The bill that was written with an image, or with the card in a reader.
fn beside(image: &Path, node: &str, images: &Path) -> Option<PathBuf> {
    let own = bill_name(node, Medium::Image);
    let is_device = std::fs::metadata(image).is_ok_and(|found| !found.is_file());
    let places = match is_device {
        true => vec![images.join(bill_name(node, Medium::Card)), images.join(own)],
        false => vec![image.with_file_name(own)],
    };
    places.into_iter().find(|place| place.is_file())
}

fn read(path: &Path) -> Result<crate::workflow::verify::Listed, Failure> {
    let reading = || format!("reading the bill {}", path.display());
    let text = read_small(path, BILL_MAX).map_err(|fault| Failure::of_named(fault, reading()))?;
    read_bill(&text).doing(reading)
}
