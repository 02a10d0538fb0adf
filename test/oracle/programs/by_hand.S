// SPDX-License-Identifier: Apache-2.0
// Functions as people write them: with call-frame information of several forms, and without any.
        .text

        // Pushes and pops, each said.
        .globl  with_pushes
        .type   with_pushes, @function
with_pushes:
        .cfi_startproc
        push    %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        push    %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        mov     $0x1234, %rbp
        mov     %rdi, %rbx
        sub     $24, %rsp
        .cfi_adjust_cfa_offset 24
        call    *%rsi
        add     %rbx, %rax
        add     $24, %rsp
        .cfi_adjust_cfa_offset -24
        pop     %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbp
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
        .cfi_endproc
        .size   with_pushes, . - with_pushes

        // The CFA by rbp, which is no pointer into this frame before and after.
        .globl  with_remembered_state
        .type   with_remembered_state, @function
with_remembered_state:
        .cfi_startproc
        push    %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        mov     %rsp, %rbp
        .cfi_def_cfa_register %rbp
        and     $-64, %rsp
        sub     $64, %rsp
        test    $1, %rdi
        jz      1f
        .cfi_remember_state
        leave
        .cfi_def_cfa %rsp, 8
        .cfi_restore %rbp
        mov     %rdi, %rax
        ret
        .cfi_restore_state
1:      call    *%rsi
        leave
        .cfi_def_cfa %rsp, 8
        .cfi_restore %rbp
        ret
        .cfi_endproc
        .size   with_remembered_state, . - with_remembered_state

        // The caller's stack pointer lies in the frame, as hand-vectorized code keeps it: *(rsp + 8) + 8.
        .globl  with_expression
        .type   with_expression, @function
with_expression:
        .cfi_startproc
        mov     %rsp, %rax
        .cfi_def_cfa_register %rax
        sub     $64, %rsp
        and     $-32, %rsp
        mov     %rax, 8(%rsp)
        .cfi_escape 0x0f, 0x05, 0x77, 0x08, 0x06, 0x23, 0x08
        call    *%rsi
        mov     8(%rsp), %rcx
        .cfi_def_cfa %rcx, 8
        mov     %rcx, %rsp
        .cfi_def_cfa_register %rsp
        ret
        .cfi_endproc
        .size   with_expression, . - with_expression

        // Nothing said. With a frame pointer all the same.
        .globl  without_information
        .type   without_information, @function
without_information:
        push    %rbp
        mov     %rsp, %rbp
        call    *%rsi
        pop     %rbp
        ret
        .size   without_information, . - without_information

        .section .note.GNU-stack, "", @progbits
