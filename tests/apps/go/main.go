// The HTTP API's one function.
package main

import (
	"encoding/json"
	"log"
	"os"
	"time"

	"example.com/uptime"
)

type answer struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
}

func greeting(up time.Duration) string {
	return "Hello, World! I have been up for " + uptime.InWords(up) + "."
}

func handle(json.RawMessage) (answer, error) {
	stage := os.Getenv("STAGE")
	if stage == "" {
		stage = "unknown"
	}
	body, err := json.Marshal(map[string]string{"message": greeting(time.Minute), "stage": stage})
	return answer{200, map[string]string{"content-type": "application/json"}, string(body)}, err
}

func main() {
	log.Fatal(serve(os.Getenv("AWS_LAMBDA_RUNTIME_API"), handle))
}
