//! The service over the wire and from within, with a real function that writes down what it is sent.

mod limits;
mod misconfigured;
mod over_the_wire;
mod scene;
mod stored;
mod transitions;
