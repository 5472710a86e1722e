; A fault in the delivery of a double fault shuts the CPU down: Intel SDM vol. 3 section 6.15, vector 8.
; status: 3
%include "common.inc"

section .text
test_main:
    mov word [idt_pointer], 0          ; no gate at all: #GP, #DF, shutdown
    lidt [idt_pointer]
    ud2
    ret                                ; would end as a success, with another status
