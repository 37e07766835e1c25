package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// serve answers one event after the other, by Lambda's Runtime API:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func serve(address string, handle func(json.RawMessage) (answer, error)) error {
	base := "http://" + address + "/2018-06-01/runtime/invocation/"
	for {
		next, err := http.Get(base + "next")
		if err != nil {
			return err
		}
		event, err := io.ReadAll(next.Body)
		next.Body.Close()
		if err != nil {
			return err
		}
		request := next.Header.Get("Lambda-Runtime-Aws-Request-Id")
		result, failure := handle(event)
		path, report := "/response", any(result)
		if failure != nil {
			path, report = "/error", map[string]string{"errorType": fmt.Sprintf("%T", failure), "errorMessage": failure.Error()}
		}
		body, err := json.Marshal(report)
		if err != nil {
			return err
		}
		told, err := http.Post(base+request+path, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		told.Body.Close()
	}
}
