B
Identity:0JðJ9?rq>Srü¾]ZO?¸ÛÃ>(Ÿ_¾