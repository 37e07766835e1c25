//! The `Domain` of a REST API: its domain name, what is mapped below it, and its records in Route 53.

use serde_json::{Map, Value, json};

use crate::sam::properties::Properties;
use crate::sam::{Result, Source, Translation, canonical, get_att, object, reference, short_hash};

/// The hosted zone of all of CloudFront's distributions.
const CLOUDFRONT: &str = "Z2FDTNDATAQYW2";

pub(super) fn expand(
    translation: &mut Translation,
    source: &Source<'_>,
    stage: &str,
    domain: Value,
) -> Result<()> {
    let domain = resolved(translation, domain);
    let mut given = Properties::new(source.id, "Domain", Some(&domain))?;
    let name = given.need("DomainName")?;
    let parts = name
        .as_object()
        .is_some_and(|name| !name.contains_key("Ref"));
    if parts {
        return Err(given.fail(
            "has a `DomainName` that is neither a text nor a `Ref`: logical ids are made of it, so it must be known now",
        ));
    }
    let certificate = given.need("CertificateArn")?;
    let endpoint = match given.take("EndpointConfiguration") {
        None => "REGIONAL",
        Some(kind) if kind == "REGIONAL" => "REGIONAL",
        Some(kind) if kind == "EDGE" => "EDGE",
        Some(_) => {
            return Err(given.fail(
                "has an `EndpointConfiguration` other than REGIONAL and EDGE, which the transform on this machine does not cover",
            ));
        }
    };
    let id = format!("ApiGatewayDomainName{}", hash(&name));
    let certificate_property = if endpoint == "REGIONAL" {
        "RegionalCertificateArn"
    } else {
        "CertificateArn"
    };
    let mut made = Map::from_iter([
        ("DomainName".to_owned(), name.clone()),
        (certificate_property.to_owned(), certificate),
        (
            "EndpointConfiguration".to_owned(),
            json!({"Types": [endpoint]}),
        ),
    ]);
    let passed = [
        "MutualTlsAuthentication",
        "OwnershipVerificationCertificateArn",
        "SecurityPolicy",
    ];
    given.pass(&passed, &mut made);
    let made = source.beside("AWS::ApiGateway::DomainName", made.into());
    translation.add(&id, made)?;

    let paths = match given.take("BasePath") {
        None => vec![None],
        Some(Value::String(path)) => vec![Some(path)],
        Some(Value::Array(paths)) if paths.iter().all(Value::is_string) => paths
            .into_iter()
            .map(|path| path.as_str().map(str::to_owned))
            .collect(),
        Some(_) => {
            return Err(given.fail("has a `BasePath` that is neither a text nor a list of texts"));
        }
    };
    let as_it_is = given
        .take("NormalizeBasePath")
        .is_some_and(|normalize| normalize == false);
    for path in paths {
        let plain: String = path
            .iter()
            .flat_map(|path| path.chars())
            .filter(|c| c.is_alphanumeric())
            .collect();
        let mapping = object([
            ("DomainName", Some(reference(&id))),
            ("RestApiId", Some(reference(source.id))),
            ("Stage", Some(reference(stage))),
            (
                "BasePath",
                path.map(|path| json!(if as_it_is { path } else { plain.clone() })),
            ),
        ]);
        let mapping = source.beside("AWS::ApiGateway::BasePathMapping", mapping);
        translation.add(&format!("{}{plain}BasePathMapping", source.id), mapping)?;
    }
    if let Some(route53) = given.take("Route53") {
        let target = if endpoint == "REGIONAL" {
            (
                get_att(&id, "RegionalHostedZoneId"),
                get_att(&id, "RegionalDomainName"),
            )
        } else {
            (json!(CLOUDFRONT), get_att(&id, "DistributionDomainName"))
        };
        records(translation, source, &name, target, &route53)?;
    }
    let others = [
        "BasePath",
        "CertificateArn",
        "DomainName",
        "EndpointConfiguration",
        "NormalizeBasePath",
        "Route53",
    ];
    given.finish(
        &[&passed[..], &others].concat(),
        &["EndpointAccessMode", "IpAddressType", "Policy"],
    )
}

/// The records of one domain; those of a hosted zone share a group.
fn records(
    translation: &mut Translation,
    source: &Source<'_>,
    name: &Value,
    (zone, host): (Value, Value),
    route53: &Value,
) -> Result<()> {
    let mut given = Properties::new(source.id, "Domain.Route53", Some(route53))?;
    let (zone_id, zone_name) = (given.take("HostedZoneId"), given.take("HostedZoneName"));
    let Some(key) = zone_id.as_ref().or(zone_name.as_ref()) else {
        return Err(given.fail("has neither `HostedZoneId` nor `HostedZoneName`"));
    };
    let id = format!("RecordSetGroup{}", hash(key));
    let host = given
        .take("DistributionDomainName")
        .filter(|_| zone == CLOUDFRONT)
        .unwrap_or(host);
    let target = object([
        ("HostedZoneId", Some(zone)),
        ("DNSName", Some(host)),
        ("EvaluateTargetHealth", given.take("EvaluateTargetHealth")),
    ]);
    let (region, set) = (given.take("Region"), given.take("SetIdentifier"));
    let record = |kind: &str| {
        object([
            ("Name", Some(name.clone())),
            ("Type", Some(json!(kind))),
            ("AliasTarget", Some(target.clone())),
            ("Region", region.clone()),
            ("SetIdentifier", set.clone()),
        ])
    };
    let mut records = vec![record("A")];
    if given.take("IpV6").is_some_and(|also| also == true) {
        records.push(record("AAAA"));
    }
    let known = [
        "DistributionDomainName",
        "EvaluateTargetHealth",
        "HostedZoneId",
        "HostedZoneName",
        "IpV6",
        "Region",
        "SetIdentifier",
    ];
    let uncovered = [
        "SeparateRecordSetGroup",
        "VpcEndpointDomainName",
        "VpcEndpointHostedZoneId",
    ];
    given.finish(&known, &uncovered)?;
    // Whose condition the shared group would have depends on an order that AWS does not tell.
    let condition =
        |group: &Value| group.get("Condition").and_then(Value::as_str) == source.condition();
    if translation
        .made
        .get(&id)
        .is_some_and(|group| !condition(group))
    {
        return Err(source.fail(
            "has a domain in the hosted zone of another API's domain, and not under the same condition: name the zone by \
             its id in one of them and by its name in the other",
        ));
    }
    let group = translation.made.entry(id).or_insert_with(|| {
        let properties = object([
            ("HostedZoneId", zone_id),
            ("HostedZoneName", zone_name),
            ("RecordSets", Some(json!([]))),
        ]);
        source.beside("AWS::Route53::RecordSetGroup", properties)
    });
    if let Some(all) = group["Properties"]["RecordSets"].as_array_mut() {
        all.extend(records);
    }
    Ok(())
}

fn hash(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| short_hash(&canonical(value)), short_hash)
}

/// References to known parameters become their values, at any depth.
fn resolved(translation: &Translation, value: Value) -> Value {
    match translation.known(value) {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| (key, resolved(translation, value)))
                .collect(),
        ),
        Value::Array(items) => items
            .into_iter()
            .map(|item| resolved(translation, item))
            .collect(),
        other => other,
    }
}
