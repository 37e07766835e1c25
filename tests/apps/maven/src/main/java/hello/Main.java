package hello;

import java.time.Duration;

/** The HTTP API's one function. */
public final class Main {
    private Main() {}

    static String greeting(Duration uptime) {
        long minutes = uptime.toMinutes();
        return "Hello, World! I have been up for " + minutes + (minutes == 1 ? " minute." : " minutes.");
    }

    /** An answer for API Gateway. */
    static String answer(String stage) {
        String body = "{\"message\": \"%s\", \"stage\": \"%s\"}".formatted(greeting(Duration.ofMinutes(1)), stage);
        return "{\"statusCode\": 200, \"headers\": {\"content-type\": \"application/json\"}, \"body\": \"%s\"}"
                .formatted(body.replace("\"", "\\\""));
    }

    public static void main(String[] arguments) throws Exception {
        String stage = System.getenv().getOrDefault("STAGE", "unknown");
        new Runtime(System.getenv("AWS_LAMBDA_RUNTIME_API")).serve(event -> answer(stage));
    }
}
