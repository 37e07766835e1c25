//! What a tree was made of, and what of that need not travel again: the parts of an archive that
//! are in the store already, one after the other, are copied there.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use towpath_archive::{Contents, Ledger};

use crate::blocking::blocking;
use crate::object::Object;
use crate::request::At;
use crate::settings::LEAST_PART;

/// The objects that a tree was made of, and which of their entries its files are.
///
/// Filled by [`crate::Store::overlay_noting`], settled before anybody changes the tree, and given to
/// [`crate::Store::publish_reusing`].
#[derive(Debug, Default)]
pub struct Origins {
    objects: Vec<Arc<At>>,
    ledger: Ledger,
    /// Whether one of the objects could not be read any more.
    lost: AtomicBool,
}

impl Origins {
    /// An object has been laid over what there was.
    pub(crate) fn lay(&mut self, layer: Layer) {
        let number = layer.object.map(|object| {
            self.objects.push(object);
            self.objects.len() - 1
        });
        self.ledger.lay(layer.contents, number);
    }

    /// Notes how all files of the tree are. What is changed from now on is packed anew; all of it, if
    /// the files cannot be looked at.
    pub async fn settle(mut self, tree: &Path) -> Arc<Self> {
        let root = tree.to_owned();
        let settled = blocking(move || {
            self.ledger.settle(&root)?;
            Ok(Arc::new(self))
        });
        settled.await.unwrap_or_else(|error| {
            let tree = tree.display();
            tracing::warn!(%tree, %error, "what is unchanged in the tree will be packed like the rest");
            Arc::default()
        })
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn object(&self, number: usize) -> &Arc<At> {
        &self.objects[number]
    }

    /// Says that an object could not be read: it was replaced, or deleted.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn are_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}

/// What an object was unpacked to.
pub(crate) struct Layer {
    contents: Contents,
    /// The object, if ranges of it are what would be packed.
    object: Option<Arc<At>>,
}

impl Layer {
    pub(crate) fn of(object: &Object, contents: Contents) -> Self {
        Self {
            contents,
            object: object.reusable(),
        }
    }
}

/// How a run of bytes that are in the store becomes parts of an upload.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Division {
    /// How many of the bytes are fetched, to go with those that wait for a part of their own.
    pub(crate) fetched: u64,
    /// The ranges to be copied after them, each as a part.
    pub(crate) copied: Vec<Range<u64>>,
}

impl Division {
    /// Of a run of bytes, while `waiting` bytes are not in a part yet and parts are to have about
    /// `size` bytes.
    ///
    /// Only an upload's last part may be smaller than [`LEAST_PART`], and another one always
    /// follows: the central directory comes last.
    pub(crate) fn of(run: Range<u64>, waiting: u64, size: u64) -> Self {
        let least = LEAST_PART as u64;
        let fetched = if waiting == 0 {
            0
        } else {
            least.saturating_sub(waiting)
        };
        let length = (run.end - run.start).saturating_sub(fetched);
        if length < least {
            return Self {
                fetched: run.end - run.start,
                copied: Vec::new(),
            };
        }
        let start = run.start + fetched;
        let parts = length.div_ceil(size.max(1)).min(length / least);
        let at =
            |part: u64| start + (u128::from(length) * u128::from(part) / u128::from(parts)) as u64;
        Self {
            fetched,
            copied: (0..parts).map(|part| at(part)..at(part + 1)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_run_is_fetched_as_far_as_it_must_be_and_copied_as_far_as_it_can() {
        type Case = (Range<u64>, u64, u64, &'static [(u64, u64)]);
        let cases: [Case; 10] = [
            // Too small for a part.
            (100..100 + MIB, 0, MIB, &[]),
            (0..5 * MIB - 1, 0, 5 * MIB - 1, &[]),
            (0..5 * MIB, 0, 0, &[(0, 5 * MIB)]),
            (7..7 + 9 * MIB, 0, 0, &[(7, 7 + 9 * MIB)]),
            (0..10 * MIB, 0, 0, &[(0, 5 * MIB), (5 * MIB, 10 * MIB)]),
            (0..16 * MIB, 0, 0, &[(0, 8 * MIB), (8 * MIB, 16 * MIB)]),
            // What waits is filled up to a part.
            (0..9 * MIB, MIB, 4 * MIB, &[(4 * MIB, 9 * MIB)]),
            (0..9 * MIB - 1, MIB, 9 * MIB - 1, &[]),
            // It is one already.
            (0..6 * MIB, 5 * MIB, 0, &[(0, 6 * MIB)]),
            (0..6 * MIB, 8 * MIB, 0, &[(0, 6 * MIB)]),
        ];
        for (run, waiting, fetched, copied) in cases {
            let expected = Division {
                fetched,
                copied: copied.iter().map(|(start, end)| *start..*end).collect(),
            };
            let division = Division::of(run.clone(), waiting, 8 * MIB);
            assert_eq!(division, expected, "{run:?}, {waiting}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_once_and_no_part_too_small(
            start in 0..1_u64 << 40,
            length in 0..200 * MIB,
            waiting in 0..9 * MIB,
            size in prop_oneof![Just(5 * MIB), Just(8 * MIB), Just(64 * MIB)],
        ) {
            let run = start..start + length;
            let division = Division::of(run.clone(), waiting, size);
            let mut at = run.start + division.fetched;
            for part in &division.copied {
                prop_assert_eq!(part.start, at);
                prop_assert!(part.end - part.start >= 5 * MIB);
                // What has to be in memory if the store cannot copy.
                prop_assert!(part.end - part.start < size.max(5 * MIB) + 5 * MIB);
                at = part.end;
            }
            prop_assert_eq!(at, run.end);
            if !division.copied.is_empty() && waiting > 0 {
                prop_assert!(waiting + division.fetched >= 5 * MIB);
            }
        }
    }
}
