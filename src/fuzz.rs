//! Throws what strangers might send at the code that reads it. For tests only.
//!
//! Owns the inputs: those of a kept corpus (`src/fuzz/corpus/`), and what mutations make of them. Each part has its own targets,
//! in a file `fuzz.rs` beside the code. A target must not panic, whatever it gets, and asserts what must hold of what it read.
//! An input on which a target answers in a way that none did before is mutated further, so that the inputs go deeper.
//! `make fuzz INPUTS=2000000 SEED=1` runs many; the usual tests run a few. An input that fails is printed as a line for the corpus,
//! where it stays.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::Random;

/// Inputs of one target in the usual tests.
const INPUTS: u64 = 2_000;
/// No longer than these are mutated.
const MAX_BYTES: usize = 70_000;
/// Inputs that are kept because they were answered in a new way.
const MAX_KEPT: usize = 4_096;

/// What a target says of an input: a number that stands for the way in which it was read.
pub(crate) type Answer = u64;

/// Runs a target on its corpus, which has an input on each line as `escape_ascii` writes it, and then on many mutations of that.
/// `words` are put in as they are.
pub(crate) fn run(
    name: &str,
    corpus: &str,
    words: &[&str],
    mut target: impl FnMut(&[u8]) -> Answer,
) {
    let seed = setting("FUZZ_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(0, |now| now.subsec_nanos().into())
    });
    let inputs = setting("FUZZ_INPUTS").unwrap_or(INPUTS);
    let mut kept: Vec<Vec<u8>> = corpus.lines().map(unescaped).collect();
    let mut answers = HashSet::new();
    let mut random = Random::new(seed);
    let begun = Instant::now();
    let whole_corpus = kept.len() as u64;
    for number in 0..inputs.max(whole_corpus) {
        let input = if number < whole_corpus {
            kept[number as usize].clone()
        } else {
            mutated(&mut random, &kept, words)
        };
        match catch_unwind(AssertUnwindSafe(|| target(&input))) {
            Ok(answer) => {
                if answers.insert(answer) && kept.len() < MAX_KEPT {
                    kept.push(input);
                }
            }
            Err(panic) => {
                eprintln!(
                    "{name}: input {number} of seed {seed}, to be added to the corpus:\n{}",
                    input.escape_ascii()
                );
                resume_unwind(panic);
            }
        }
    }
    println!(
        "{name}: {inputs} inputs of seed {seed} in {:.1?}, answered in {} ways",
        begun.elapsed(),
        answers.len()
    );
}

/// A number that stands for these.
pub(crate) fn answer(of: impl std::hash::Hash) -> Answer {
    use std::hash::{DefaultHasher, Hasher as _};
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

#[expect(
    clippy::disallowed_methods,
    reason = "how many, and with which seed, is said from outside"
)]
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is a number: {value}")),
    )
}

fn unescaped(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'x') => {
                    let digits = [rest.next(), rest.next()];
                    let digits = digits.map(|digit| char::from(digit.unwrap_or(b'0')));
                    let digits = String::from_iter(digits);
                    u8::from_str_radix(&digits, 16).expect("two digits")
                }
                Some(other) => other,
                None => b'\\',
            },
            other => other,
        });
    }
    bytes
}

fn mutated(random: &mut Random, kept: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
    let mut input = random.pick(kept).unwrap_or_default();
    for _ in 0..=random.below(6) {
        mutate(random, &mut input, kept, words);
    }
    input.truncate(MAX_BYTES);
    input
}

fn mutate(random: &mut Random, input: &mut Vec<u8>, kept: &[Vec<u8>], words: &[&str]) {
    const NUMBERS: [&str; 10] = [
        "0",
        "1",
        "-1",
        "00",
        "127",
        "65536",
        "2147483648",
        "9007199254740993",
        "18446744073709551615",
        "1e999",
    ];
    let at = random.below(input.len() + 1);
    let end = at + random.below((input.len() - at).min(64) + 1);
    let part = match random.below(10) {
        0 if at < input.len() => {
            input[at] ^= 1 << random.below(8);
            return;
        }
        1 => vec![(random.next() & 0xff) as u8],
        // The range is removed.
        2 | 3 => Vec::new(),
        4 => input[at..end].repeat(2),
        5 => random.pick(words).unwrap_or_default().into(),
        6 => random.pick(&NUMBERS).unwrap_or_default().into(),
        7 => {
            let other = random.pick(kept).unwrap_or_default();
            let begin = random.below(other.len() + 1);
            other[begin..].to_vec()
        }
        8 => {
            let many = if random.one_in(50) { 20_000 } else { 200 };
            vec![input.get(at).copied().unwrap_or(b'['); random.below(many)]
        }
        _ => random
            .pick(&["\u{0}", "\\", "\"", "[", "{", ",", "é", "\u{1e}", "/", "-"])
            .unwrap_or_default()
            .into(),
    };
    // In place of the range, or before it.
    let end = if random.one_in(2) || part.is_empty() {
        end
    } else {
        at
    };
    input.splice(at..end, part);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_corpus_is_the_input_that_was_printed() {
        let input: Vec<u8> = (0..=255).collect();
        assert_eq!(unescaped(&input.escape_ascii().to_string()), input);
    }
}
