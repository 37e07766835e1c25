//! Whatever an archive is changed to: it is refused, or unpacked exactly as the reference reads it.
//! And nothing is ever written beside the directory.

use proptest::prelude::*;

use crate::agreement::agrees_with_the_reference;
use crate::raw::{Entry, archive, deflated, described, directory, ending, link, stored, with};
use crate::round_trip::any_tree;
use crate::tree::{noise, packed, plant};

/// One of everything, by hand.
fn entries() -> Vec<Entry> {
    vec![
        stored("a.txt", b"hello"),
        directory("b/"),
        deflated("b/c.txt", &[b'x'; 3000]),
        described(deflated("b/d.bin", &noise(150))),
        link("b/link", "../a.txt"),
        with(stored("gr\u{fc}n", b"x"), |entry| entry.flags = 0),
        with(stored("tool", b"#!/bin/sh"), |entry| {
            entry.mode = 0o104_755;
            entry.comment = b"a comment".to_vec();
            entry.extra = crate::raw::field(0x5455, &[0; 5]);
        }),
    ]
}

#[test]
fn as_it_is_it_is_read_as_the_reference_reads_it() {
    for bytes in [
        archive(&[]),
        archive(&entries()),
        ending(&entries(), |end| end.comment = vec![b'x'; 300]),
        ending(&entries(), |end| {
            end.widen();
        }),
    ] {
        for segment in [1, 200, 1 << 20] {
            assert_eq!(agrees_with_the_reference(&bytes, segment), Ok(true));
        }
    }
}

#[test]
fn any_byte_changed_and_any_cut() {
    let whole = ending(&entries(), |end| {
        end.widen();
    });
    let mut taken = 0;
    for at in 0..whole.len() {
        for change in [0x01, 0x41, 0xFF] {
            let mut changed = whole.clone();
            changed[at] ^= change;
            match agrees_with_the_reference(&changed, 200) {
                Ok(unpacked) => taken += usize::from(unpacked),
                Err(said) => panic!("byte {at}, ^ {change:#x}: {said}"),
            }
        }
        let cut = agrees_with_the_reference(&whole[..at], 200);
        assert_eq!(cut, Ok(false), "cut at {at}");
    }
    // Times, comments and permissions may be others.
    assert!(taken > 100 && taken < whole.len(), "{taken}");
}

/// A change somewhere, of which those to headers are the more interesting.
#[derive(Debug, Clone)]
enum Mutation {
    Set(prop::sample::Index, u8),
    /// Near one of the places where `PK` stands.
    SetInHeader(prop::sample::Index, u8, u8),
    Number(prop::sample::Index, u8, u32),
    Cut(prop::sample::Index),
    Remove(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Repeat(prop::sample::Index, prop::sample::Index, u8),
    Swap(prop::sample::Index, prop::sample::Index, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use Mutation as M;
    let place = any::<prop::sample::Index>;
    prop_oneof![
        2 => (place(), any::<u8>()).prop_map(|(at, byte)| M::Set(at, byte)),
        6 => (place(), 0..46_u8, any::<u8>()).prop_map(|(at, by, byte)| M::SetInHeader(at, by, byte)),
        4 => (place(), 4..46_u8, prop_oneof![
            0..300_u32,
            Just(u32::MAX),
            Just(u32::from(u16::MAX)),
            any::<u32>(),
        ]).prop_map(|(at, by, number)| M::Number(at, by, number)),
        1 => place().prop_map(M::Cut),
        1 => (place(), any::<u8>()).prop_map(|(at, length)| M::Remove(at, length)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| M::Insert(at, bytes)),
        1 => (place(), place(), any::<u8>()).prop_map(|(from, to, length)| M::Repeat(from, to, length)),
        1 => (place(), place(), 1..60_u8).prop_map(|(one, two, length)| M::Swap(one, two, length)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let header = |bytes: &[u8], index: &prop::sample::Index| {
        let headers: Vec<usize> = (0..bytes.len())
            .filter(|at| bytes[*at..].starts_with(b"PK"))
            .collect();
        (!headers.is_empty()).then(|| headers[index.index(headers.len())])
    };
    let length = bytes.len();
    let range = |at: usize, wanted: u8| at..(at + usize::from(wanted)).min(length);
    match mutation {
        Mutation::Set(at, byte) => bytes[at.index(length)] = *byte,
        Mutation::SetInHeader(at, by, byte) => {
            if let Some(at) = header(bytes, at)
                && let Some(place) = bytes.get_mut(at + usize::from(*by))
            {
                *place = *byte;
            }
        }
        Mutation::Number(at, by, number) => {
            if let Some(at) = header(bytes, at)
                && let Some(place) = bytes.get_mut(at + usize::from(*by)..at + usize::from(*by) + 4)
            {
                place.copy_from_slice(&number.to_le_bytes());
            }
        }
        Mutation::Cut(at) => bytes.truncate(at.index(length)),
        Mutation::Remove(at, wanted) => drop(bytes.drain(range(at.index(length), *wanted))),
        Mutation::Insert(at, more) => {
            let at = at.index(length);
            bytes.splice(at..at, more.iter().copied());
        }
        Mutation::Repeat(from, to, wanted) => {
            let piece = bytes[range(from.index(length), *wanted)].to_vec();
            let to = to.index(length);
            bytes.splice(to..to, piece);
        }
        Mutation::Swap(one, two, wanted) => {
            let (one, two) = (one.index(length), two.index(length));
            let wanted = usize::from(*wanted)
                .min(one.abs_diff(two))
                .min(length - one.max(two));
            for by in 0..wanted {
                bytes.swap(one + by, two + by);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_changed_archive_of_other_hands(
        mutations in prop::collection::vec(mutation(), 1..5),
        zip64 in any::<bool>(),
        segment in prop_oneof![Just(1), Just(300), Just(1 << 20)],
    ) {
        let mut bytes = ending(&entries(), |end| if zip64 { end.widen(); });
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        let agreed = agrees_with_the_reference(&bytes, segment);
        prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
    }

    #[test]
    fn a_changed_archive_of_any_tree(
        tree in any_tree(),
        mutations in prop::collection::vec(mutation(), 0..4),
    ) {
        let here = tempfile::tempdir().unwrap();
        plant(&tree, here.path());
        let (mut bytes, _) = packed(here.path());
        for mutation in &mutations {
            mutate(&mut bytes, mutation);
        }
        let agreed = agrees_with_the_reference(&bytes, 500);
        prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
        if mutations.is_empty() {
            prop_assert_eq!(agreed, Ok(true));
        }
    }
}
