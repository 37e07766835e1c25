//! CloudFormation and SAM templates as data: read, evaluate, package local code.
//!
//! A [`Template`] is a JSON value in long form, whether it came from YAML with short-form tags or from JSON. Over it
//! are pure functions: [`parameters::resolve`], [`conditions`], [`evaluate()`], [`order`], the [`sam`] transform, and
//! [`package`], which finds local code in a template and puts S3 objects in its place.
//!
//! Nothing here calls AWS, and only [`package::plan`] looks at a disk (to see whether a local path exists). Whatever
//! only a deployment knows (physical ids, attributes, exports) comes through the [`Environment`] of the caller.

mod error;
pub mod evaluate;
mod graph;
pub mod package;
pub mod parameters;
pub mod sam;
mod suggest;
mod template;
pub mod yaml;

pub use error::{EvaluateError, SyntaxError, TemplateError};
pub use evaluate::{Environment, Evaluation, conditions, evaluate};
pub use graph::{dependencies, order, order_with};
pub use parameters::ResolvedParameter;
pub use suggest::did_you_mean;
pub use template::Template;
