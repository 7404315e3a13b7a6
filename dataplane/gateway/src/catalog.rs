//! `smartflow-gateway catalog`: what is known without being declared.

use std::io::Write;
use std::process::ExitCode;

/// Prints providers and models of the catalog.
#[must_use]
pub fn run() -> ExitCode {
    let mut out = std::io::stdout().lock();
    for provider in smartflow_compile::catalog().values() {
        if print(&mut out, provider).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn print(out: &mut impl Write, p: &smartflow_compile::Entry) -> std::io::Result<()> {
    writeln!(
        out,
        "{} ({}), {} models, prices of {}",
        p.name,
        p.base_url.as_deref().unwrap_or("your baseURL"),
        p.models.len(),
        p.date.as_deref().unwrap_or("unknown date")
    )?;
    for model in &p.models {
        let price = |class: Option<&str>| class.map_or_else(|| "?".to_owned(), |p| format!("${p}"));
        let (input, output) =
            model.price.as_ref().map_or((None, None), |p| (p.input.as_deref(), p.output.as_deref()));
        writeln!(
            out,
            "  {:48} in {:>9} out {:>9} per million tokens",
            model.name,
            price(input),
            price(output)
        )?;
    }
    Ok(())
}
