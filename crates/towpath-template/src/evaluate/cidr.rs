//! `Fn::Cidr`: a block of addresses cut into equal parts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The first `count` parts of `block`, each with `bits` host bits.
pub(super) fn divide(block: &str, count: u32, bits: u32) -> Result<Vec<String>, String> {
    let parsed = block.split_once('/').and_then(|(address, prefix)| {
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= width)?;
        Some((address, prefix, width))
    });
    let Some((address, prefix, width)) = parsed else {
        return Err(format!(
            "`{block}` is no address block such as `10.0.0.0/16`"
        ));
    };
    if !(1..=256).contains(&count) {
        return Err(format!(
            "{count} parts are asked for, and 1 to 256 are possible"
        ));
    }
    let free = (width - prefix).checked_sub(bits).filter(|_| bits > 0);
    if free.is_none_or(|free| free < 32 && u64::from(count) > 1_u64 << free) {
        return Err(format!(
            "`{block}` does not hold {count} parts with {bits} host bits each"
        ));
    }
    let number = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let first = (number >> (width - prefix).min(127)) << (width - prefix).min(127);
    Ok((0..u128::from(count))
        .map(|index| {
            let number = first + (index << bits);
            let address = match address {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(number as u32)),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(number)),
            };
            format!("{address}/{}", width - bits)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::divide;

    #[test]
    fn a_block_is_divided_from_its_start() {
        for (block, count, bits, expected) in [
            (
                "10.0.0.0/16",
                3,
                8,
                vec!["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24"],
            ),
            ("10.1.2.3/24", 2, 5, vec!["10.1.2.0/27", "10.1.2.32/27"]),
            ("192.168.0.0/24", 1, 8, vec!["192.168.0.0/24"]),
            (
                "2001:db8::/56",
                2,
                64,
                vec!["2001:db8::/64", "2001:db8:0:1::/64"],
            ),
        ] {
            assert_eq!(divide(block, count, bits).unwrap(), expected, "{block}");
        }
        for (block, count, bits) in [
            ("10.0.0.0", 1, 8),
            ("10.0.0.0/33", 1, 8),
            ("10.0.0.0/24", 2, 8),
            ("10.0.0.0/16", 0, 8),
            ("x/8", 1, 8),
        ] {
            assert!(
                divide(block, count, bits).is_err(),
                "{block} {count} {bits}"
            );
        }
    }
}
