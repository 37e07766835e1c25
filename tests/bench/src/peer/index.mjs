// What a CodePipeline action in Node.js does before its first job: load the SDK, make its clients,
// ask the Runtime API for work; and for each job, report it.
import { CodePipelineClient, PutJobSuccessResultCommand } from "@aws-sdk/client-codepipeline";
import { S3Client } from "@aws-sdk/client-s3";

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/invocation`;
const pipeline = new CodePipelineClient({});
new S3Client({});

for (;;) {
  const next = await fetch(`${api}/next`);
  const id = next.headers.get("lambda-runtime-aws-request-id");
  const event = await next.json();
  await pipeline.send(new PutJobSuccessResultCommand({ jobId: event["CodePipeline.job"].id }));
  await fetch(`${api}/${id}/response`, { method: "POST", body: "null" });
}
