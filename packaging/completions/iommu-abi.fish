# Completion of iommu-abi in fish: the command itself says what fits, by argcomplete.
function __iommu_abi_complete
    set -lx COMP_LINE (commandline -cp)
    set -lx COMP_POINT (string length -- $COMP_LINE)
    set -lx _ARGCOMPLETE 1
    set -lx _ARGCOMPLETE_SHELL fish
    set -lx _ARGCOMPLETE_IFS \n
    set -lx _ARGCOMPLETE_DFS \t
    set -lx _ARGCOMPLETE_SUPPRESS_SPACE 1
    iommu-abi 8>&1 9>/dev/null >/dev/null 2>&1 </dev/null
end
complete -c iommu-abi -f -a '(__iommu_abi_complete)'
