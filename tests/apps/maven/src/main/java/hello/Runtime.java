package hello;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.function.UnaryOperator;

/** Lambda's Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html */
final class Runtime {
    private final HttpClient client = HttpClient.newHttpClient();
    private final String base;

    Runtime(String address) {
        base = "http://" + address + "/2018-06-01/runtime/invocation/";
    }

    /** Answers one event after the other. */
    void serve(UnaryOperator<String> handler) throws IOException, InterruptedException {
        while (true) {
            HttpResponse<String> event = send(HttpRequest.newBuilder(URI.create(base + "next")));
            String request = event.headers().firstValue("Lambda-Runtime-Aws-Request-Id").orElseThrow();
            URI path = URI.create(base + request + "/response");
            String answer = handler.apply(event.body());
            send(HttpRequest.newBuilder(path).POST(HttpRequest.BodyPublishers.ofString(answer)));
        }
    }

    private HttpResponse<String> send(HttpRequest.Builder request) throws IOException, InterruptedException {
        return client.send(request.build(), HttpResponse.BodyHandlers.ofString());
    }
}
