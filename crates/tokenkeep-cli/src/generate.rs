//! Prints completions and the man page from the definitions of the arguments.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::arguments::Arguments;
use crate::exit::{Code, Outcome};
use crate::output::Output;

/// Prints the completions of one shell.
pub(crate) fn completions(shell: Shell, output: &Output) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "tokenkeep", &mut script);
    output.raw(&script)?;
    Ok(Code::Ok)
}

/// Prints the man page in roff, followed by the pages of the commands.
pub(crate) fn man(output: &Output) -> Outcome {
    let mut page = Vec::new();
    let mut command = Arguments::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        clap_mangen::Man::new(sub.clone()).render(&mut page)?;
    }
    output.raw(&page)?;
    Ok(Code::Ok)
}
