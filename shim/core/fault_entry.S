/* SPDX-License-Identifier: Apache-2.0
   Where the kernel enters for a SIGSEGV or SIGBUS that the fault guard stands in front of. The app's handler
   is jumped to with the kernel's arguments, stack and return address: it can't tell that we were here. */
	.section .text.sigsafe,"ax",@progbits
	.globl	siprof_fault_entry
	.hidden	siprof_fault_entry
	.type	siprof_fault_entry, @function
siprof_fault_entry:
	.cfi_startproc
	endbr64
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	call	siprof_on_fault
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	testq	%rax, %rax
	jz	1f
	movq	%rax, %r11
	xorl	%eax, %eax		/* as the kernel leaves it */
	jmp	*%r11
1:	ret
	.cfi_endproc
	.size	siprof_fault_entry, .-siprof_fault_entry
	.section .note.GNU-stack,"",@progbits
