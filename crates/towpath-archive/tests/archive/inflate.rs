//! Deflate data, read as RFC 1951 has it: a bit at a time, and nothing faster.

/// What the data inflate to, if that is at most `limit` bytes. What comes after them does not count.
pub(crate) fn inflate(data: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let mut bits = Bits { data, at: 0 };
    let mut out = Vec::new();
    loop {
        let last = bits.number(1)? == 1;
        match bits.number(2)? {
            0 => stored(&mut bits, &mut out)?,
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                coded(
                    &mut bits,
                    &Code::new(&lengths)?,
                    &Code::new(&[5; 32])?,
                    &mut out,
                    limit,
                )?;
            }
            2 => {
                let (literals, distances) = codes(&mut bits)?;
                coded(&mut bits, &literals, &distances, &mut out, limit)?;
            }
            _ => return Err("a block of no kind".to_owned()),
        }
        if out.len() as u64 > limit {
            return Err("too long".to_owned());
        }
        if last {
            return Ok(out);
        }
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    bits.at = bits.at.next_multiple_of(8);
    let (length, inverse) = (bits.number(16)?, bits.number(16)?);
    if length != inverse ^ 0xFFFF {
        return Err("a stored block of two lengths".to_owned());
    }
    for _ in 0..length {
        out.push(bits.number(8)? as u8);
    }
    Ok(())
}

fn coded(
    bits: &mut Bits<'_>,
    literals: &Code,
    distances: &Code,
    out: &mut Vec<u8>,
    limit: u64,
) -> Result<(), String> {
    const LENGTHS: [(usize, u32); 29] = {
        let mut table = [(258, 0); 29];
        let (mut index, mut base) = (0, 3);
        while index < 28 {
            let extra = if index < 8 { 0 } else { index as u32 / 4 - 1 };
            table[index] = (base, extra);
            base += 1 << extra;
            index += 1;
        }
        table
    };
    loop {
        let symbol = literals.symbol(bits)?;
        let (base, extra) = match symbol {
            0..256 => {
                out.push(symbol as u8);
                continue;
            }
            256 => return Ok(()),
            // 286 and 287 are no lengths, and 30 and 31 no distances. Some readers refuse them; libdeflate takes
            // them for the last ones that there are.
            _ => LENGTHS[(symbol - 257).min(28)],
        };
        let length = base + bits.number(extra)?;
        let symbol = distances.symbol(bits)?.min(29);
        let distance = if symbol < 4 {
            symbol + 1
        } else {
            let extra = symbol as u32 / 2 - 1;
            ((2 + symbol % 2) << extra) + 1 + bits.number(extra)?
        };
        let from = out
            .len()
            .checked_sub(distance)
            .ok_or("before the beginning")?;
        for at in from..from + length {
            out.push(out[at]);
        }
        if out.len() as u64 > limit {
            return Err("too long".to_owned());
        }
    }
}

/// The two codes that a block begins with.
fn codes(bits: &mut Bits<'_>) -> Result<(Code, Code), String> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literals = 257 + bits.number(5)?;
    let distances = 1 + bits.number(5)?;
    let given = 4 + bits.number(4)?;
    let mut lengths = [0; 19];
    for place in &ORDER[..given] {
        lengths[*place] = bits.number(3)? as u8;
    }
    let code = Code::new(&lengths)?;
    let mut lengths: Vec<u8> = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.symbol(bits)? {
            16 => (
                *lengths.last().ok_or("nothing to repeat")?,
                3 + bits.number(2)?,
            ),
            17 => (0, 3 + bits.number(3)?),
            18 => (0, 11 + bits.number(7)?),
            length => (length as u8, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    if lengths.len() > literals + distances {
        return Err("lengths for more than there is".to_owned());
    }
    let distances = lengths.split_off(literals);
    Ok((Code::new(&lengths)?, Code::new(&distances)?))
}

/// A canonical Huffman code.
struct Code {
    /// How many codewords there are of each length.
    counts: [usize; 16],
    /// Their symbols in order.
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[u8]) -> Result<Self, String> {
        let mut counts = [0; 16];
        let mut symbols = Vec::new();
        for (length, count) in counts.iter_mut().enumerate().skip(1) {
            let these = (0..lengths.len()).filter(|at| usize::from(lengths[*at]) == length);
            let before = symbols.len();
            symbols.extend(these);
            *count = symbols.len() - before;
        }
        let used: usize = (1..16).map(|length| counts[length] << (15 - length)).sum();
        // A code may be incomplete if it has one codeword, of one bit; or none, if it is not used.
        let one = symbols.len() == 1 && counts[1] == 1;
        if used != 1 << 15 && !one && !symbols.is_empty() {
            return Err("an incomplete code, or too many codewords".to_owned());
        }
        Ok(Self { counts, symbols })
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, String> {
        // The format leaves open what the other codeword is where there is only one. Some readers
        // refuse it. Others, libdeflate among them, take it for the only one there is.
        if let [only] = self.symbols[..] {
            bits.number(1)?;
            return Ok(only);
        }
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.number(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err("no such codeword".to_owned())
    }
}

struct Bits<'a> {
    data: &'a [u8],
    /// In bits.
    at: usize,
}

impl Bits<'_> {
    /// A number of so many bits, the lowest first.
    fn number(&mut self, count: u32) -> Result<usize, String> {
        let mut number = 0;
        for place in 0..count {
            let byte = self.data.get(self.at / 8).ok_or("cut off")?;
            number |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Ok(number)
    }
}
