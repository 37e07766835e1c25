//! What a handler in Node or Python may look like, and what is said of one that cannot be run.

use serde_json::json;

use super::{Fixture, has, zipped};

#[tokio::test]
async fn node_handlers_of_every_kind() {
    if !has("node") {
        return;
    }
    let fixture = Fixture::new();
    let files: &[(&str, &str)] = &[
        (
            "esm.mjs",
            "export const handler = async (event, context) => ({ event, name: context.functionName, id: context.awsRequestId, left: context.getRemainingTimeInMillis(), group: context.logGroupName });\nexport const text = 'x';",
        ),
        (
            "common.js",
            "exports.handler = async (event) => { console.log('hello', event); return require('./lib/inner.js').answer; };\nexports.deep = { er: { handler: () => Promise.resolve('deep') } };",
        ),
        (
            "lib/inner.js",
            "exports.answer = { from: 'inner' };\nexports.handler = (event, context, callback) => { setTimeout(() => { globalThis.done = true; }, 20); callback(null, { waited: () => 1, plain: true }); };",
        ),
        (
            "bad.js",
            "exports.sync = () => { throw new TypeError('no'); };\nexports.callback = (event, context, callback) => callback(new RangeError('far'));\nexports.string = async () => { throw 'just text'; };\nexports.rejects = (event, context, callback) => { Promise.reject(new Error('nobody listens')); setTimeout(callback, 10000); };\nexports.uncaught = (event, context, callback) => { setTimeout(() => { throw new Error('late'); }, 1); };\nexports.never = () => new Promise(() => {});\nexports.loop = async () => { const a = {}; a.a = a; return a; };\nexports.nothing = async () => {};",
        ),
        ("syntax.js", "exports.handler = async () => {"),
        ("missing.js", "require('no-such-module');"),
        ("throws.js", "throw new Error('at load');"),
        (
            "streams.mjs",
            "export const handler = awslambda.streamifyResponse(async () => {});",
        ),
    ];
    let zip = zipped(files);
    for (handler, is_error, expected) in [
        ("esm.handler", false, r#""event":{"n":1},"#),
        ("esm.handler", false, r#""name":"f2","#),
        ("common.handler", false, r#"{"from":"inner"}"#),
        ("common.deep.er.handler", false, r#""deep""#),
        ("lib/inner.handler", false, r#"{"plain":true}"#),
        ("bad.nothing", false, "null"),
        ("bad.never", false, "null"),
        (
            "bad.sync",
            true,
            r#""errorType":"TypeError","errorMessage":"no","trace":["TypeError: no""#,
        ),
        (
            "bad.callback",
            true,
            r#""errorType":"RangeError","errorMessage":"far""#,
        ),
        (
            "bad.string",
            true,
            r#"{"errorType":"string","errorMessage":"just text","trace":[]}"#,
        ),
        (
            "bad.rejects",
            true,
            r#""errorType":"Runtime.UnhandledPromiseRejection","errorMessage":"Error: nobody listens""#,
        ),
        (
            "bad.uncaught",
            true,
            r#""errorType":"Error","errorMessage":"late""#,
        ),
        ("bad.loop", true, "Unable to stringify response body"),
        (
            "esm.other",
            true,
            r#""errorType":"Runtime.HandlerNotFound","errorMessage":"esm.other is undefined or not exported""#,
        ),
        (
            "esm.text",
            true,
            r#""errorMessage":"esm.text is not a function""#,
        ),
        (
            "nofile.handler",
            true,
            r#""errorType":"Runtime.ImportModuleError","errorMessage":"Error: Cannot find module 'nofile'\nRequire stack:"#,
        ),
        (
            "missing.handler",
            true,
            r#""errorType":"Runtime.ImportModuleError","errorMessage":"Error: Cannot find module 'no-such-module'"#,
        ),
        (
            "syntax.handler",
            true,
            r#""errorType":"Runtime.UserCodeSyntaxError","errorMessage":"SyntaxError: "#,
        ),
        (
            "throws.handler",
            true,
            r#""errorType":"Error","errorMessage":"at load""#,
        ),
        (
            "esm",
            true,
            r#""errorType":"Runtime.MalformedHandlerName","errorMessage":"Bad handler""#,
        ),
        (
            "streams.handler",
            true,
            "response streaming is not supported",
        ),
    ] {
        let name = format!("f{}", fixture.world.lambda.lock().functions.len() + 1);
        let request = json!({ "FunctionName": name, "Runtime": "nodejs20.x", "Handler": handler, "Role": "role", "Timeout": 20, "Code": { "ZipFile": zip } });
        fixture.call("CreateFunction", request).await.unwrap();
        let request = json!({ "FunctionName": name, "Payload": "{\"n\":1}" });
        let answer = fixture.call("Invoke", request).await.unwrap();
        let payload = answer["Payload"].as_str().unwrap();
        assert_eq!(
            answer.get("FunctionError").is_some(),
            is_error,
            "{handler}: {payload}"
        );
        let expected = expected.replace('\n', "\\n");
        assert!(payload.contains(&expected), "{handler}: {payload}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn python_handlers_of_every_kind() {
    if !has("python3") {
        return;
    }
    let fixture = Fixture::new();
    let files: &[(&str, &str)] = &[
        (
            "app.py",
            "import decimal, logging\nimport lib.inner\nlogging.getLogger().setLevel('INFO')\ndef handler(event, context):\n    logging.info('hello')\n    return {'event': event, 'name': context.function_name, 'positive': context.get_remaining_time_in_millis() > 0, 'sum': decimal.Decimal('1.5'), 'inner': lib.inner.VALUE}\ndef fail(event, context):\n    raise KeyError('k')\ndef odd(event, context):\n    return object()\ndef leave(event, context):\n    raise SystemExit(4)\n",
        ),
        (
            "lib/inner.py",
            "VALUE = 7\ndef handler(event, context):\n    return 'inner'\n",
        ),
        ("syntax.py", "def handler(:\n"),
        ("missing.py", "import no_such_module\n"),
    ];
    let zip = zipped(files);
    for (index, (handler, is_error, expected)) in [
        (
            "app.handler",
            false,
            r#"{"event": {"n": 1}, "name": "f0", "positive": true, "sum": 1.5, "inner": 7}"#,
        ),
        ("lib/inner.handler", false, r#""inner""#),
        (
            "app.fail",
            true,
            r#""errorMessage": "'k'", "errorType": "KeyError""#,
        ),
        ("app.odd", true, r#""errorType": "Runtime.MarshalError""#),
        ("app.leave", true, "exit status 4"),
        ("app.other", true, "Handler 'other' missing on module 'app'"),
        (
            "nofile.handler",
            true,
            "Unable to import module 'nofile': No module named 'nofile'",
        ),
        (
            "missing.handler",
            true,
            "Unable to import module 'missing': No module named 'no_such_module'",
        ),
        ("syntax.handler", true, "Runtime.UserCodeSyntaxError"),
        (
            "app",
            true,
            "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("f{index}");
        let request = json!({ "FunctionName": name, "Runtime": "python3.12", "Handler": handler, "Role": "role", "Timeout": 20, "Code": { "ZipFile": zip } });
        fixture.call("CreateFunction", request).await.unwrap();
        let request = json!({ "FunctionName": name, "Payload": "{\"n\":1}" });
        let answer = fixture.call("Invoke", request).await.unwrap();
        let payload = answer["Payload"].as_str().unwrap();
        assert_eq!(
            answer.get("FunctionError").is_some(),
            is_error,
            "{handler}: {payload}"
        );
        assert!(payload.contains(expected), "{handler}: {payload}");
    }
    fixture.close().await;
}
