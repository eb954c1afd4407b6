# Completion of iommu-abi in bash: the command itself says what fits, by argcomplete.
_iommu_abi()
{
	local IFS=$'\013' typed=${COMP_LINE:0:COMP_POINT}
	COMPREPLY=($(COMP_LINE="$COMP_LINE" COMP_POINT="$COMP_POINT" _ARGCOMPLETE=1 _ARGCOMPLETE_SHELL=bash \
		_ARGCOMPLETE_COMP_WORDBREAKS="${COMP_WORDBREAKS//@/}" _ARGCOMPLETE_SUPPRESS_SPACE=1 \
		"$1" 8>&1 9>/dev/null >/dev/null 2>&1 </dev/null))
	typed=${typed##* }
	if [[ $typed == *@* ]]; then # bash completes from the @ on
		COMPREPLY=("${COMPREPLY[@]#"${typed%@*}"}")
	fi
	if [[ ${COMPREPLY-} == *[=:/] ]]; then
		compopt -o nospace
	fi
}
complete -o bashdefault -o default -F _iommu_abi iommu-abi
