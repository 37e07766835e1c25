//! What a `NoEcho` parameter flows into is in no plan, whatever else changes about it.

use crate::{act, told, world};

const SECRET: &str = "correct-horse";

fn template(stage: &str) -> String {
    format!(
        "Parameters:
  Password: {{Type: String, NoEcho: true}}
Resources:
  Address:
    Type: AWS::SSM::Parameter
    Properties: {{Type: String, Name: /app/address, Value: !Sub \"{stage}:${{Password}}\"}}
  Plain:
    Type: AWS::SSM::Parameter
    Properties: {{Type: String, Name: /app/stage, Value: {stage}}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_value_that_comes_and_of_the_one_that_goes() {
    let world = world().await;
    let given = format!("&Param.Password={SECRET}");
    act(&world, &template("qa"), &given).await.succeeded();
    let open = "Resources:
  Address:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Name: /app/address, Value: elsewhere}
  Plain:
    Type: AWS::SSM::Parameter
    Properties: {Type: String, Name: /app/stage, Value: production}
";
    for (case, template, given) in [
        ("changed", template("production"), given.as_str()),
        // The new template knows no secret; the value that goes is one all the same.
        ("gone", open.to_owned(), ""),
    ] {
        let parameters = format!("&action=plan{given}");
        let plan = act(&world, &template, &parameters).await;
        plan.succeeded();
        let page = told(&world, &plan, "plan.md").await;
        let json = told(&world, &plan, "plan.json").await;
        assert!(page.contains("`qa` → `production`"), "{case}: {page}");
        assert!(page.contains("`Value`: `****` → `****`"), "{case}: {page}");
        assert!(
            !page.contains(SECRET) && !json.contains(SECRET),
            "{case}: {page}{json}"
        );
    }
}
