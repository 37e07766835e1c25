// The runtime of `nodejs*` functions: loads the handler, takes events from the Runtime API, answers them.
// Works on Node 18 and later, and uses nothing that is slow to load.

import { existsSync, statSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';

const environment = process.env;
const [host, port] = environment.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

/** The event being handled, and what is to be done when the event loop runs empty. */
let requestId;
let onEmpty;

class RuntimeError extends Error {
  constructor(type, message) {
    super(message);
    this.name = type;
  }
}

function call(method, target, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(
      { host, port, agent, method, path: `/2018-06-01/runtime/${target}`, headers },
      (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ headers: response.headers, body: Buffer.concat(chunks).toString('utf8') }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

/** An error as the Runtime API takes it. Anything may be thrown, also what is no Error. */
function describe(error) {
  if (error instanceof Error || (error && typeof error === 'object' && 'message' in error && 'stack' in error)) {
    return {
      errorType: String(error.name ?? 'Error'),
      errorMessage: String(error.message ?? ''),
      trace: String(error.stack ?? '').split('\n'),
    };
  }
  return { errorType: typeof error, errorMessage: String(error), trace: [] };
}

function report(target, error, logged) {
  const description = describe(error);
  console.error(`${logged} ${JSON.stringify(description)}`);
  return call('POST', target, JSON.stringify(description), {
    'content-type': 'application/json',
    'lambda-runtime-function-error-type': description.errorType.replace(/[^\x20-\x7e]/g, '?'),
  });
}

function patchConsole() {
  const out = (level) => (...message) =>
    process.stdout.write(`${new Date().toISOString()}\t${requestId ?? 'undefined'}\t${level}\t${format(...message)}\n`);
  Object.assign(console, {
    log: out('INFO'),
    info: out('INFO'),
    debug: out('DEBUG'),
    warn: out('WARN'),
    error: out('ERROR'),
    trace: (...message) => out('TRACE')(new Error(format(...message)).stack.replace(/^Error/, 'Trace')),
  });
}

// `dir/file.name` or `dir/file.object.name`.
function locate(handler) {
  if (handler.includes('..')) {
    throw new RuntimeError('Runtime.MalformedHandlerName', `'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`);
  }
  const base = path.basename(handler);
  const match = /^([^.]+)\.(.+)$/.exec(base);
  if (!match) {
    throw new RuntimeError('Runtime.MalformedHandlerName', 'Bad handler');
  }
  const name = path.join(path.dirname(handler), match[1]);
  const whole = path.resolve(environment.LAMBDA_TASK_ROOT, name);
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    const file = whole + extension;
    if (existsSync(file) && statSync(file).isFile()) {
      return [file, match[2]];
    }
  }
  try {
    return [createRequire(path.join(environment.LAMBDA_TASK_ROOT, 'x.js')).resolve(whole), match[2]];
  } catch {
    throw new RuntimeError('Runtime.ImportModuleError', `Error: Cannot find module '${name}'\nRequire stack:\n- ${process.argv[1]}`);
  }
}

async function load(handler) {
  const [file, name] = locate(handler);
  let module;
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw new RuntimeError('Runtime.UserCodeSyntaxError', String(error));
    }
    if (error?.code === 'MODULE_NOT_FOUND' || error?.code === 'ERR_MODULE_NOT_FOUND') {
      throw new RuntimeError('Runtime.ImportModuleError', String(error));
    }
    throw error;
  }
  // A CommonJS module is the default export; its members are not always named ones.
  const find = (root) => name.split('.').reduce((object, key) => object?.[key], root);
  const found = find(module) ?? find(module.default);
  if (found === undefined || found === null) {
    throw new RuntimeError('Runtime.HandlerNotFound', `${handler} is undefined or not exported`);
  }
  if (typeof found !== 'function') {
    throw new RuntimeError('Runtime.HandlerNotFound', `${handler} is not a function`);
  }
  return found;
}

function contextOf(headers) {
  const deadline = Number(headers['lambda-runtime-deadline-ms']);
  const parsed = (name) => (headers[name] ? JSON.parse(headers[name]) : undefined);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: environment.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: environment.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: environment.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: environment.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: environment.AWS_LAMBDA_LOG_STREAM_NAME,
    invokedFunctionArn: headers['lambda-runtime-invoked-function-arn'],
    awsRequestId: headers['lambda-runtime-aws-request-id'],
    clientContext: headers['lambda-runtime-client-context']
      ? JSON.parse(Buffer.from(headers['lambda-runtime-client-context'], 'base64').toString('utf8'))
      : undefined,
    identity: parsed('lambda-runtime-cognito-identity'),
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

/** Runs the handler: it may return a promise, or call back. */
function invoke(handler, event, context) {
  return new Promise((resolve, reject) => {
    const callback = (error, result) => {
      if (error !== undefined && error !== null) {
        reject(error);
      } else if (context.callbackWaitsForEmptyEventLoop) {
        onEmpty = () => resolve(result);
      } else {
        resolve(result);
      }
    };
    context.done = callback;
    context.succeed = (result) => callback(null, result);
    context.fail = (error) => callback(error ?? new Error('handled'));
    // With nothing left to wait for, nobody will ever answer.
    onEmpty = () => resolve(null);
    const returned = handler(event, context, callback);
    if (typeof returned?.then === 'function') {
      returned.then(resolve, reject);
    }
  });
}

function serialize(result) {
  try {
    return JSON.stringify(result === undefined ? null : result) ?? 'null';
  } catch {
    throw new Error('Unable to stringify response body');
  }
}

async function serve(handler) {
  for (;;) {
    requestId = undefined;
    const { headers, body } = await call('GET', 'invocation/next');
    requestId = headers['lambda-runtime-aws-request-id'];
    environment._X_AMZN_TRACE_ID = headers['lambda-runtime-trace-id'];
    const id = requestId;
    try {
      const result = serialize(await invoke(handler, JSON.parse(body), contextOf(headers)));
      onEmpty = undefined;
      await call('POST', `invocation/${id}/response`, result, { 'content-type': 'application/json' });
    } catch (error) {
      onEmpty = undefined;
      await report(`invocation/${id}/error`, error, 'Invoke Error');
    }
  }
}

/** The process cannot be trusted any more: it says why, and ends. */
function die(error, logged, code) {
  const target = requestId ? `invocation/${requestId}/error` : 'init/error';
  // The socket in use may be waiting for the next event.
  agent.maxSockets = 2;
  report(target, error, logged).finally(() => process.exit(code));
}

process.on('beforeExit', () => {
  const act = onEmpty;
  onEmpty = undefined;
  act?.();
});
process.on('uncaughtException', (error) => die(error, 'Uncaught Exception', 129));
process.on('unhandledRejection', (reason) => {
  const error = new RuntimeError('Runtime.UnhandledPromiseRejection', String(reason));
  error.stack = reason?.stack ?? error.stack;
  die(error, 'Unhandled Promise Rejection', 128);
});

const noStreaming = () => {
  throw new RuntimeError('Runtime.StreamingNotSupported', 'awslambda.streamifyResponse: response streaming is not supported by the loopback');
};
globalThis.awslambda = { streamifyResponse: noStreaming, HttpResponseStream: { from: noStreaming } };

patchConsole();
let handler;
try {
  handler = await load(environment._HANDLER);
} catch (error) {
  await report('init/error', error, 'Uncaught Exception');
  process.exit(1);
}
// An error here is one of the connection: the environment is gone.
await serve(handler).catch(() => process.exit(1));
