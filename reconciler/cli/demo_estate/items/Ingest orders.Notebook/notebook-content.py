# Fabric notebook source

# METADATA ********************

# META {
# META   "kernel_info": {
# META     "name": "synapse_pyspark"
# META   },
# META   "dependencies": {
# META     "lakehouse": {
# META       "default_lakehouse": "5f0b7a52-6a1e-9c44-4d1b-0d3a6c2e9b11",
# META       "default_lakehouse_name": "Orders",
# META       "default_lakehouse_workspace_id": "00000000-0000-0000-0000-000000000000"
# META     }
# META   }
# META }

# CELL ********************

orders = spark.read.json("Files/orders")
orders.write.mode("append").saveAsTable("orders")

# METADATA ********************

# META {
# META   "language": "python",
# META   "language_group": "synapse_pyspark"
# META }
