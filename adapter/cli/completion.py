# SPDX-License-Identifier: EUPL-1.2

"""`completion`: what a shell needs to complete commands, options and names."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from adapter.cli.app import COMPLETES

_NAME: Final = "stam-adapter"


class Shell(StrEnum):
    """A shell that can complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


# The line is split here: bash would also split it at colons, of which the names of lanes have some, and replaces only
# what stands behind the last one.
_BASH: Final = f"""\
_stam_adapter() {{
    local IFS=$' \\t\\n' line="${{COMP_LINE:0:COMP_POINT}}" words current
    read -ra words <<<"$line"
    local number=${{#words[@]}}
    [[ $line == *[[:space:]] ]] || number=$((number - 1))
    IFS=$'\\n'
    COMPREPLY=( $( COMP_WORDS="$line" COMP_CWORD=$number {COMPLETES}=complete_bash "$1" 2>/dev/null ) )
    current="${{line##*[[:space:]]}}"
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=( "${{COMPREPLY[@]#"${{current%"${{current##*:}}"}}"}}" )
    fi
}}
complete -o bashdefault -o default -F _stam_adapter {_NAME}
"""

_ZSH: Final = f"""\
#compdef {_NAME}
_stam_adapter() {{
    eval "$(_TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {COMPLETES}=complete_zsh {_NAME} 2>/dev/null)"
}}
if [ "$funcstack[1]" = "_stam_adapter" ]; then
    _stam_adapter "$@"
else
    compdef _stam_adapter {_NAME}
fi
"""

_FISH: Final = f"""\
function __stam_adapter
    env {COMPLETES}=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] \\
        _TYPER_COMPLETE_ARGS=(commandline -cp) {_NAME} 2>/dev/null
end
complete --command {_NAME} --no-files --condition "__stam_adapter is-args" --arguments "(__stam_adapter get-args)"
"""

_SCRIPTS: Final = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


def completion(
    shell: Annotated[Shell, typer.Argument(help="The shell.", metavar="SHELL")],
) -> None:
    """Print what lets a shell complete commands, options and names.

    The names of authorities, sinks, lanes, agreements and verzoeken come from the configuration that --config,
    STAM_ADAPTER_CONFIG or the usual places give; where that is wrong, nothing is completed, and nothing said.

    For bash, put the line of the first example into ~/.bashrc, or the script into
    /etc/bash_completion.d/stam-adapter for every user; for zsh, put the script into a directory of $fpath as
    _stam-adapter; for fish, into ~/.config/fish/completions/stam-adapter.fish.

    Example: source <(stam-adapter completion bash)

    Example: stam-adapter completion zsh > ~/.zfunc/_stam-adapter

    Example: stam-adapter completion fish > ~/.config/fish/completions/stam-adapter.fish
    """
    typer.echo(_SCRIPTS[shell], nl=False)
